"""What a Linux host holds: values, and pure functions over them. No I/O."""
