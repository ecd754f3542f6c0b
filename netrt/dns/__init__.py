"""Names: what containers may look up, and the answers to their questions. Pure; the server that sends them is `netrt.resolver`"""
