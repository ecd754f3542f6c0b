from netrt.api.client import Client as Client

__version__: str
