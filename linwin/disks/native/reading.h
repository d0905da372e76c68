/*
 * What a volume keeps of a file that exists, to be told to others.
 *
 * Results are as in volume.h. Values are allocated, to be freed with free();
 * one that a file lacks is NULL and 0 bytes long.
 */
#ifndef LINWIN_READING_H
#define LINWIN_READING_H

#include <stddef.h>
#include <stdint.h>

#include "volume.h"

struct details {
	uint32_t attributes; /* Win32 FILE_ATTRIBUTE_* */
	uint64_t created;
	uint64_t modified;
	uint64_t changed;
	uint64_t accessed;
	uint64_t size; /* of the unnamed stream */
};

enum { VALUE_SECURITY = 1, VALUE_REPARSE = 2, VALUE_EXTENDED = 3 };

/* A part of the volume, in bytes. */
struct extent {
	uint64_t start;
	uint64_t length;
};

/*
 * Where the volume keeps its file records, in their order, as `count` extents to
 * be freed with free(); each record has `record_size` bytes.
 */
int reading_records(struct volume *volume, struct extent **extents, size_t *count, uint32_t *record_size);

/*
 * All names of a file as struct name and its text, those for DOS left out;
 * `number` is the folder's. -ENOENT when the record is not in use.
 */
int reading_names(struct volume *volume, uint64_t number, uint8_t **names, size_t *size);

int reading_details(struct volume *volume, uint64_t number, struct details *details);

/*
 * A self-relative security descriptor, a REPARSE_DATA_BUFFER, or a list of
 * extended attributes as the volume stores it.
 */
int reading_value(struct volume *volume, uint64_t number, int value, uint8_t **data, size_t *size);

/* Names of the alternate data streams, as struct name and its text; `number` is a stream's size. */
int reading_streams(struct volume *volume, uint64_t number, uint8_t **names, size_t *size);

/* As content_open, for an alternate stream, whose name is as reading_streams gives it. */
int content_open_stream(struct volume *volume, uint64_t number, const uint16_t *name, size_t length,
			uint64_t *size);

#endif
