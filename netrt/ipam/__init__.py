"""Addresses: which subnet a network gets, and which address a container gets. Pure functions of a State."""
