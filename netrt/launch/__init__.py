"""Starting processes in sandboxes. What runs when a container starts (`enter`, `isolate`, `spawn`, `supervise` and what they
import) uses the standard library and ctypes only, and little of that: each start pays for its imports."""
