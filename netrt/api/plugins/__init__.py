"""CNI plugins as the daemon does their work: one module for each kind of plugin, and who they are handed on to."""
