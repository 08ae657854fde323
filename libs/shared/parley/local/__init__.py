"""The local stack: real Apache Kafka and real PostgreSQL from wheels and jars, as child processes. No Docker, no Java, no database needed."""

from parley.local.server import StackError, free_port
from parley.local.stack import Places, Stack

__all__ = ["Places", "Stack", "StackError", "free_port"]
