"""The API over HTTP: the server, what it sends and reads, and the endpoints beside chat.

``server`` has the sockets and drives; ``endpoints`` is the table of methods and paths, whose functions get a call and
return an answer (``calls``). ``shapes`` builds what is sent, ``delivery`` sends it slowly or not to its end, and
``multipart`` reads forms.
"""

from .calls import Call, HttpAnswer
from .endpoints import ENDPOINTS
from .server import Server

__all__ = ["ENDPOINTS", "Call", "HttpAnswer", "Server"]
