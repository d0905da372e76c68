"""The guest room: sessions with the agents in booted machines."""

from linwin.guest.agents import AgentGuest, AgentGuests
from linwin.guest.process import GuestProcess

__all__ = ["AgentGuest", "AgentGuests", "GuestProcess"]
