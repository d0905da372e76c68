/* Whether a volume is one that can be trusted, without writing to it. */
#ifndef LINWIN_VERIFY_H
#define LINWIN_VERIFY_H

#include "device.h"

/* What is wrong with a volume that can be opened. */
enum { VOLUME_CLEAN = 0, VOLUME_DIRTY = 1, VOLUME_JOURNAL = 2 };

/*
 * Opens the volume of a read-only device and looks at what a mount depends on:
 * the boot sector, $MFT beside its mirror, $Bitmap, $UpCase, $Secure and the
 * root folder's index, then at the dirty flag and the journal. Returns one of the
 * above, or an errno value as a negative number when the volume cannot be opened.
 */
int volume_verify(struct device *device);

#endif
