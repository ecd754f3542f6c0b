"""The only room that touches the kernel: it reads objects, does operations, and translates refusals. It decides nothing."""
