/*
 * An NTFS volume as the writer of layers needs it: by MFT number, never by path.
 *
 * Every function returns 0, or an errno value as a negative number. Names are
 * UTF-16 in host order and are matched without regard to case, by the volume's
 * own $UpCase. Times are FILETIMEs: 100 ns since 1601.
 *
 * At most one inode is held open between calls, the directory last worked in.
 * libntfs-3g keeps no two copies of one inode consistent, so everything else is
 * opened and closed within a call, or held back until the directory is let go.
 */
#ifndef LINWIN_VOLUME_H
#define LINWIN_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"

struct volume;

/* What a name stands for. */
enum { KIND_FILE = 1, KIND_DIRECTORY = 2, KIND_REPARSE = 4 };

struct metadata {
	uint32_t attributes; /* Win32 FILE_ATTRIBUTE_*; those NTFS keeps itself are ignored */
	uint64_t created;
	uint64_t modified;
	uint64_t changed;
	uint64_t accessed;
	uint32_t security_id;       /* of a descriptor already in $Secure, or 0 */
	const void *security;       /* self-relative security descriptor, or NULL to inherit */
	size_t security_length;
	const void *extended;       /* FILE_FULL_EA_INFORMATION list, or NULL */
	size_t extended_length;
	const void *reparse;        /* REPARSE_DATA_BUFFER, or NULL */
	size_t reparse_length;
};

/* One name of a directory, as volume_list gives it; its `length` UTF-16 units follow, then padding. */
struct name {
	uint64_t number;
	uint8_t kind;
	uint8_t length;
};

int volume_mount(struct device *device, struct volume **out);
/* Mounts a volume to be read only, be it clean or not. No function may be called that would write. */
int volume_mount_read_only(struct device *device, struct volume **out);
/* Writes everything out. The volume is gone afterwards, whatever is returned. */
int volume_unmount(struct volume *volume);

int volume_lookup(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
		  uint64_t *number, int *kind);

/* Creates a directory. -EEXIST when the name is taken, in any case. */
int volume_create_directory(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
			    const struct metadata *metadata, uint64_t *number, uint32_t *security_id);

/*
 * Creates a file with the first `length_given` of its `size` bytes. The rest,
 * if there is any, follows through volume_append and volume_finish.
 */
int volume_create_file(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
		       const struct metadata *metadata, const void *data, size_t length_given,
		       uint64_t size, uint64_t *number, uint32_t *security_id);
/* Creates or replaces a data stream, the unnamed one too; its bytes follow as a file's do. */
int volume_create_stream(struct volume *volume, uint64_t number, const uint16_t *name, size_t length,
			 const void *data, size_t length_given, uint64_t size);
int volume_append(struct volume *volume, const void *data, size_t length);
int volume_finish(struct volume *volume);

/* Gives a file or directory that exists other metadata; extended attributes that it lacks go. */
int volume_set_metadata(struct volume *volume, uint64_t number, const struct metadata *metadata,
			uint32_t *security_id);

/* Removes all alternate data streams of a file or directory. */
int volume_remove_streams(struct volume *volume, uint64_t number);

int volume_link(struct volume *volume, uint64_t target, uint64_t parent, const uint16_t *name,
		size_t length);

/* Removes one name; of a directory only when it is empty. Its parent keeps its times. */
int volume_remove(struct volume *volume, uint64_t parent, uint64_t number, const uint16_t *name,
		  size_t length);

/*
 * All names of a directory, the volume's own files left out, as `size` bytes of
 * struct name and its text, each name at a multiple of 8. Free them with free().
 */
int volume_list(struct volume *volume, uint64_t number, uint8_t **names, size_t *size);

/* The volume's $UpCase, `count` units, alive as long as the volume is. */
const uint16_t *volume_upcase(const struct volume *volume, size_t *count);

#endif
