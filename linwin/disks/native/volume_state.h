/* What volume.c and nodes.c share of a volume. */
#ifndef LINWIN_VOLUME_STATE_H
#define LINWIN_VOLUME_STATE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ntfs-3g/attrib.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/volume.h>

#include "device.h"

struct volume {
	struct device *device;
	ntfs_volume *ntfs;
	struct SECURITY_CONTEXT security;
	struct PERMISSIONS_CACHE *no_cache;

	ntfs_inode *directory; /* the one inode held open, or NULL */
	le32 inherited[2];     /* descriptors that its new files and directories inherit, 0 unknown */

	/* The file whose data is being written, between create and finish. */
	ntfs_inode *file;
	ntfs_attr *data;
	s64 written;

	LCN next; /* where the next clusters are taken */
};

static inline int error_of_errno(void)
{
	return errno != 0 ? -errno : -EIO;
}

/* Lets go of the directory that is held open. */
int volume_let_go(struct volume *volume);

/* Holds a directory open, instead of another. */
int volume_hold(struct volume *volume, uint64_t number);

/* Has libntfs-3g take its next clusters behind the last file's. */
void volume_place(struct volume *volume);

/* Notes where the clusters of an attribute end that was given some. */
void volume_placed(struct volume *volume, const ntfs_attr *attribute);

/* Finds a name in the directory held. */
int volume_find(struct volume *volume, const uint16_t *name, size_t length, uint64_t *number);

/* Closes a file or directory other than the one held, which may have a name of it. */
int volume_close(struct volume *volume, ntfs_inode *inode);

#endif
