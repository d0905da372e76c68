/*
 * The unnamed data stream of a file that exists: read and overwritten in place.
 *
 * One is open at a time, and while it is, nothing else of the volume may be used.
 * Positions and sizes are bytes. Results are as in volume.h.
 */
#ifndef LINWIN_CONTENT_H
#define LINWIN_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "volume.h"

/* -EISDIR for a directory; -EOPNOTSUPP for a reparse point, or data that is encrypted. */
int content_open(struct volume *volume, uint64_t number, uint64_t *size);

/* Both lie within the file. */
int content_read(struct volume *volume, uint64_t position, void *buffer, size_t length);

/* `position` is within the file or its end; what lies beyond the end makes it longer. */
int content_write(struct volume *volume, uint64_t position, const void *data, size_t length);

int content_truncate(struct volume *volume, uint64_t size);

int content_close(struct volume *volume);

#endif
