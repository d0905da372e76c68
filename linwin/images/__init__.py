"""Images: references, the content store, archives.

:class:`ImageStore` is what the engine knows as :class:`linwin.engine.interfaces.Images`.
"""

from linwin.images.bases import stand_in_diff_id
from linwin.images.store import ImageStore

__all__ = ["ImageStore", "stand_in_diff_id"]
