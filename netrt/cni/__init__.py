"""The Container Network Interface (CNI 0.1.0 to 1.1.0): what runtimes ask becomes commands, State becomes results. Pure."""
