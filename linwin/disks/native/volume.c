#include "volume.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "volume_state.h"

#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/layout.h>

enum { MOST_LINKS = 1024 }; /* Windows' own limit on names of one file */

/* ---- the inode held open ----------------------------------------------- */

int volume_let_go(struct volume *volume)
{
	ntfs_inode *directory = volume->directory;

	volume->directory = NULL;
	volume->inherited[0] = volume->inherited[1] = const_cpu_to_le32(0);
	if (directory != NULL && ntfs_inode_close(directory) != 0)
		return error_of_errno();
	return 0;
}

int volume_hold(struct volume *volume, uint64_t number)
{
	int error;

	if (volume->directory != NULL && volume->directory->mft_no == number)
		return 0;
	error = volume_let_go(volume);
	if (error != 0)
		return error;
	volume->directory = ntfs_inode_open(volume->ntfs, number);
	if (volume->directory == NULL)
		return error_of_errno();
	if (!(volume->directory->mrec->flags & MFT_RECORD_IS_DIRECTORY)) {
		volume_let_go(volume);
		return -ENOTDIR;
	}
	return 0;
}

int volume_close(struct volume *volume, ntfs_inode *inode)
{
	int failed = volume->directory != NULL ? ntfs_inode_close_in_dir(inode, volume->directory)
					       : ntfs_inode_close(inode);

	return failed ? error_of_errno() : 0;
}

/* ---- mounting ---------------------------------------------------------- */

int volume_mount(struct device *device, struct volume **out)
{
	struct volume *volume = calloc(1, sizeof *volume);
	struct ntfs_device *dev;
	int error;

	if (volume == NULL)
		return -ENOMEM;
	volume->device = device;
	dev = ntfs_device_alloc("linwin", 0, &device_operations, device);
	if (dev == NULL) {
		free(volume);
		return -ENOMEM;
	}
	volume->ntfs = ntfs_device_mount(dev, NTFS_MNT_NONE);
	if (volume->ntfs == NULL) {
		error = error_of_errno();
		ntfs_device_free(dev);
		free(volume);
		return error;
	}
	if (ntfs_set_ignore_case(volume->ntfs) != 0 || ntfs_open_secure(volume->ntfs) != 0) {
		error = error_of_errno();
		ntfs_umount(volume->ntfs, TRUE);
		free(volume);
		return error;
	}
	volume->security.vol = volume->ntfs;
	volume->security.pseccache = &volume->no_cache;
	*out = volume;
	return 0;
}

int volume_unmount(struct volume *volume)
{
	int error = volume_let_go(volume);

	if (ntfs_close_secure(volume->ntfs) != 0 && error == 0)
		error = error_of_errno();
	if (ntfs_umount(volume->ntfs, FALSE) != 0 && error == 0)
		error = error_of_errno();
	free(volume);
	return error;
}

/* ---- looking up -------------------------------------------------------- */

static int kind_of(const ntfs_inode *inode)
{
	int kind = inode->mrec->flags & MFT_RECORD_IS_DIRECTORY ? KIND_DIRECTORY : KIND_FILE;

	return inode->flags & FILE_ATTR_REPARSE_POINT ? kind | KIND_REPARSE : kind;
}

int volume_find(struct volume *volume, const uint16_t *name, size_t length, uint64_t *number)
{
	u64 reference;

	errno = 0;
	reference = ntfs_inode_lookup_by_name(volume->directory, (const ntfschar *)name, (int)length);
	if (reference == (u64)-1)
		return error_of_errno();
	*number = MREF(reference);
	return 0;
}

int volume_lookup(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
		  uint64_t *number, int *kind)
{
	ntfs_inode *inode;
	int error = volume_hold(volume, parent);

	if (error == 0)
		error = volume_find(volume, name, length, number);
	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, *number);
	if (inode == NULL)
		return error_of_errno();
	*kind = kind_of(inode);
	return volume_close(volume, inode);
}

/* ---- linking and removing ---------------------------------------------- */

int volume_link(struct volume *volume, uint64_t target, uint64_t parent, const uint16_t *name,
		size_t length)
{
	ntfs_inode *inode;
	uint64_t taken;
	int closing;
	int error = volume_hold(volume, parent);

	if (error != 0)
		return error;
	if (volume_find(volume, name, length, &taken) == 0)
		return -EEXIST;
	inode = ntfs_inode_open(volume->ntfs, target);
	if (inode == NULL)
		return error_of_errno();
	if (inode->mrec->flags & MFT_RECORD_IS_DIRECTORY)
		error = -EISDIR;
	else if (le16_to_cpu(inode->mrec->link_count) >= MOST_LINKS)
		error = -EMLINK;
	else if (ntfs_link(inode, volume->directory, (const ntfschar *)name, (u8)length) != 0)
		error = error_of_errno();
	/* The target's other names may lie in the directory held: close it in that. */
	closing = volume_close(volume, inode);
	return error != 0 ? error : closing;
}

int volume_remove(struct volume *volume, uint64_t parent, uint64_t number, const uint16_t *name,
		  size_t length)
{
	ntfs_inode *inode, *directory;
	int error = volume_hold(volume, parent);

	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, number);
	if (inode == NULL)
		return error_of_errno();
	directory = volume->directory;
	volume->directory = NULL;
	volume->inherited[0] = volume->inherited[1] = const_cpu_to_le32(0);
	/* Closes both inodes, also when it fails. */
	if (ntfs_delete(volume->ntfs, NULL, inode, directory, (const ntfschar *)name, (u8)length) != 0)
		return error_of_errno();
	return 0;
}

/* ---- listing ----------------------------------------------------------- */

struct listing {
	struct name *names;
	size_t count;
	size_t room;
};

static int add_name(void *listing_pointer, const ntfschar *text, const int length, const int type,
		    const s64 position, const MFT_REF reference, const unsigned kind)
{
	struct listing *listing = listing_pointer;
	struct name *name;

	(void)position;
	if (type == FILE_NAME_DOS || MREF(reference) < FILE_first_user)
		return 0;
	if (length == 1 && text[0] == const_cpu_to_le16('.'))
		return 0;
	if (length == 2 && text[0] == const_cpu_to_le16('.') && text[1] == const_cpu_to_le16('.'))
		return 0;
	if (listing->count == listing->room) {
		size_t room = listing->room != 0 ? 2 * listing->room : 16;
		struct name *names = realloc(listing->names, room * sizeof *names);

		if (names == NULL) {
			errno = ENOMEM;
			return -1;
		}
		listing->names = names;
		listing->room = room;
	}
	name = &listing->names[listing->count++];
	name->number = MREF(reference);
	name->kind = kind == NTFS_DT_DIR ? KIND_DIRECTORY : KIND_FILE;
	name->length = (uint8_t)length;
	memcpy(name->text, text, (size_t)length * sizeof *text);
	return 0;
}

int volume_list(struct volume *volume, uint64_t number, struct name **names, size_t *count)
{
	struct listing listing = { 0 };
	s64 position = 0;
	int failed;
	int error = volume_hold(volume, number);

	if (error != 0)
		return error;
	/* A volume that ignores case lists its names in small letters. */
	NVolSetCaseSensitive(volume->ntfs);
	failed = ntfs_readdir(volume->directory, &position, &listing, add_name);
	NVolClearCaseSensitive(volume->ntfs);
	if (failed) {
		error = error_of_errno();
		free(listing.names);
		return error;
	}
	*names = listing.names;
	*count = listing.count;
	return 0;
}
