"""What people ask for: values, checked when they are made. No I/O."""
