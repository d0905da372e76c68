#include "volume.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
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

/* ---- where clusters are taken ------------------------------------------- */

/*
 * Left alone, libntfs-3g begins every file 4096 clusters behind the last one, to
 * leave it room to grow. A layer's files do not grow, and scattered like that
 * each of them would cost a cluster of the overlay, sixteen times as large.
 */
void volume_place(struct volume *volume)
{
	if (volume->next < volume->ntfs->nr_clusters)
		volume->ntfs->data1_zone_pos = volume->next;
}

void volume_placed(struct volume *volume, const ntfs_attr *attribute)
{
	const runlist_element *run = attribute->rl;

	if (!NAttrNonResident(attribute) || run == NULL)
		return;
	for (; run->length != 0; run++)
		if (run->lcn >= volume->ntfs->mft_zone_end)
			volume->next = run->lcn + run->length;
}

struct longest {
	LCN start, length;
	LCN run; /* free clusters in a row, up to where it has come */
};

static void measure(struct longest *longest, LCN at, uint8_t bits)
{
	if (bits == 0) {
		longest->run += 8;
		return;
	}
	if (longest->run > longest->length) {
		longest->start = at - longest->run;
		longest->length = longest->run;
	}
	longest->run = 0;
}

/* Starts in the longest free part of the data zone, by whole bytes of $Bitmap, and with a block. */
static int find_room(struct volume *volume)
{
	ntfs_volume *ntfs = volume->ntfs;
	LCN block = ntfs->cluster_size < BLOCK_BYTES ? BLOCK_BYTES / ntfs->cluster_size : 1;
	LCN at = (ntfs->mft_zone_end + 7) & ~(LCN)7;
	struct longest longest = { .start = at };
	uint8_t bits[4096];
	s64 n;

	while ((n = ntfs_attr_pread(ntfs->lcnbmp_na, at / 8, sizeof bits, bits)) > 0)
		for (s64 i = 0; i < n; i++, at += 8)
			measure(&longest, at, bits[i]);
	if (n < 0)
		return error_of_errno();
	measure(&longest, at, 0xFF);
	volume->next = longest.start;
	if (longest.length > block)
		volume->next = (longest.start + block - 1) / block * block;
	return 0;
}

/* ---- mounting ---------------------------------------------------------- */

static int mount_with(struct device *device, ntfs_mount_flags flags, struct volume **out)
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
	volume->ntfs = ntfs_device_mount(dev, flags);
	if (volume->ntfs == NULL) {
		error = error_of_errno();
		ntfs_device_free(dev);
		free(volume);
		return error;
	}
	error = flags & NTFS_MNT_RDONLY ? 0 : find_room(volume);
	if (error == 0 && (ntfs_set_ignore_case(volume->ntfs) != 0 || ntfs_open_secure(volume->ntfs) != 0))
		error = error_of_errno();
	if (error != 0) {
		ntfs_umount(volume->ntfs, TRUE);
		free(volume);
		return error;
	}
	volume->security.vol = volume->ntfs;
	volume->security.pseccache = &volume->no_cache;
	*out = volume;
	return 0;
}

int volume_mount(struct device *device, struct volume **out)
{
	return mount_with(device, NTFS_MNT_NONE, out);
}

int volume_mount_read_only(struct device *device, struct volume **out)
{
	/* A guest that was lost leaves $MFT ahead of its mirror, and libntfs-3g refuses that. */
	if (device_ignore_mirror(device) != 0)
		return -EIO;
	return mount_with(device, NTFS_MNT_RDONLY, out);
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

/*
 * Closes a file that has names in several directories, one of them the one held. Where
 * libntfs-3g has to update all names, it takes a directory that it is told of for
 * every name's, and closes it when it does not find one there.
 */
static int close_linked(struct volume *volume, ntfs_inode *inode)
{
	int error = NInoFileNameDirty(inode) ? volume_let_go(volume) : 0;
	int closing = volume_close(volume, inode);

	return error != 0 ? error : closing;
}

int volume_link(struct volume *volume, uint64_t target, uint64_t parent, const uint16_t *name,
		size_t length)
{
	ntfs_inode *inode;
	uint64_t taken;
	int closing;
	int error = volume_hold(volume, parent);

	if (error != 0)
		return error;
	error = volume_find(volume, name, length, &taken);
	if (error != -ENOENT)
		return error != 0 ? error : -EEXIST;
	error = 0;
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
	closing = close_linked(volume, inode);
	return error != 0 ? error : closing;
}

/* libntfs-3g says of a directory that it was changed now. A layer says itself when it was. */
static int set_back_times(struct volume *volume, uint64_t number, ntfs_time modified, ntfs_time changed)
{
	int error = volume_hold(volume, number);

	if (error != 0)
		return error;
	volume->directory->last_data_change_time = modified;
	volume->directory->last_mft_change_time = changed;
	NInoFileNameSetDirty(volume->directory);
	NInoSetDirty(volume->directory);
	return 0;
}

int volume_remove(struct volume *volume, uint64_t parent, uint64_t number, const uint16_t *name,
		  size_t length)
{
	ntfs_inode *inode, *directory;
	ntfs_time modified, changed;
	int error = volume_hold(volume, parent);

	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, number);
	if (inode == NULL)
		return error_of_errno();
	directory = volume->directory;
	modified = directory->last_data_change_time;
	changed = directory->last_mft_change_time;
	volume->directory = NULL;
	volume->inherited[0] = volume->inherited[1] = const_cpu_to_le32(0);
	/* Closes both inodes, also when it fails. */
	if (ntfs_delete(volume->ntfs, NULL, inode, directory, (const ntfschar *)name, (u8)length) != 0)
		return error_of_errno();
	return set_back_times(volume, parent, modified, changed);
}

/* ---- listing ----------------------------------------------------------- */

struct listing {
	uint8_t *names;
	size_t size;
	size_t room;
};

static int add_name(void *listing_pointer, const ntfschar *text, const int length, const int type,
		    const s64 position, const MFT_REF reference, const unsigned kind)
{
	struct listing *listing = listing_pointer;
	size_t text_bytes = (size_t)length * sizeof *text;
	size_t bytes = (sizeof(struct name) + text_bytes + 7) & ~(size_t)7;
	struct name *name;

	(void)position;
	if (type == FILE_NAME_DOS || MREF(reference) < FILE_first_user)
		return 0;
	if (length == 1 && text[0] == const_cpu_to_le16('.'))
		return 0;
	if (length == 2 && text[0] == const_cpu_to_le16('.') && text[1] == const_cpu_to_le16('.'))
		return 0;
	if (listing->room - listing->size < bytes) {
		size_t room = 2 * listing->room + 1024;
		uint8_t *names = realloc(listing->names, room);

		if (names == NULL) {
			errno = ENOMEM;
			return -1;
		}
		listing->names = names;
		listing->room = room;
	}
	name = (struct name *)(listing->names + listing->size);
	name->number = MREF(reference);
	name->kind = kind == NTFS_DT_DIR ? KIND_DIRECTORY : KIND_FILE;
	name->length = (uint8_t)length;
	memcpy(name + 1, text, text_bytes);
	listing->size += bytes;
	return 0;
}

int volume_list(struct volume *volume, uint64_t number, uint8_t **names, size_t *size)
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
	*size = listing.size;
	return 0;
}

const uint16_t *volume_upcase(const struct volume *volume, size_t *count)
{
	*count = volume->ntfs->upcase_len;
	return (const uint16_t *)volume->ntfs->upcase;
}
