"""Templates: reads recipes (``vm-templates/``), builds guests from them, keeps what was built."""

from linwin.templates.installed import InstalledTemplates

__all__ = ["InstalledTemplates"]
