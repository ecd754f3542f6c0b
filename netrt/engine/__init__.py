"""The one writer: it decides, makes the kernel so, and remembers."""
