"""Networks on the host: bridges, taps, rules, leases and names."""

from linwin.network.bridges import BridgeNetworks

__all__ = ["BridgeNetworks"]
