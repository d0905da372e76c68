"""Files of the host for guests: a Samba of this root's own, which outlives the daemon as guests do."""

from linwin.shares.samba import SambaShares as SambaShares
