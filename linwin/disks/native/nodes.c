#include "volume.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "volume_state.h"

#include <ntfs-3g/dir.h>
#include <ntfs-3g/ea.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/reparse.h>

/* ---- metadata ---------------------------------------------------------- */

static int set_security(struct volume *volume, ntfs_inode *inode, const struct metadata *metadata)
{
	if (metadata->security == NULL || metadata->security_id != 0)
		return 0;
	if (ntfs_set_ntfs_acl(&volume->security, inode, metadata->security, metadata->security_length, 0) != 0)
		return error_of_errno();
	return 0;
}

static int set_attributes(ntfs_inode *inode, const struct metadata *metadata)
{
	le32 attributes = cpu_to_le32(metadata->attributes);

	if (ntfs_set_ntfs_attrib(inode, (const char *)&attributes, sizeof attributes, 0) != 0)
		return error_of_errno();
	return 0;
}

static void set_times(ntfs_inode *inode, const struct metadata *metadata)
{
	inode->creation_time = cpu_to_sle64((s64)metadata->created);
	inode->last_data_change_time = cpu_to_sle64((s64)metadata->modified);
	inode->last_mft_change_time = cpu_to_sle64((s64)metadata->changed);
	inode->last_access_time = cpu_to_sle64((s64)metadata->accessed);
	NInoFileNameSetDirty(inode);
	NInoSetDirty(inode);
}

static int apply(struct volume *volume, ntfs_inode *inode, const struct metadata *metadata)
{
	int error = set_security(volume, inode, metadata);

	if (error != 0)
		return error;
	if (metadata->reparse != NULL &&
	    ntfs_set_ntfs_reparse_data(inode, metadata->reparse, metadata->reparse_length, 0) != 0)
		return error_of_errno();
	if (metadata->extended != NULL &&
	    ntfs_set_ntfs_ea(inode, metadata->extended, metadata->extended_length, 0) != 0)
		return error_of_errno();
	/* Times last: the calls above touch them. Attributes before them, for the same reason. */
	error = set_attributes(inode, metadata);
	set_times(inode, metadata);
	return error;
}

int volume_set_metadata(struct volume *volume, uint64_t number, const struct metadata *metadata,
			uint32_t *security_id)
{
	ntfs_inode *inode;
	int error = volume_let_go(volume);

	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, number);
	if (inode == NULL)
		return error_of_errno();
	if (metadata->security_id != 0)
		inode->security_id = cpu_to_le32(metadata->security_id);
	if (metadata->extended == NULL && ntfs_attr_exist(inode, AT_EA, AT_UNNAMED, 0) &&
	    ntfs_remove_ntfs_ea(inode) != 0)
		error = error_of_errno();
	if (error == 0)
		error = apply(volume, inode, metadata);
	*security_id = le32_to_cpu(inode->security_id);
	if (ntfs_inode_close(inode) != 0 && error == 0)
		error = error_of_errno();
	return error;
}

/* ---- creating ---------------------------------------------------------- */

static le32 inherited(struct volume *volume, bool directory)
{
	le32 *known = &volume->inherited[directory];

	if (*known == const_cpu_to_le32(0))
		*known = ntfs_inherited_id(&volume->security, volume->directory, directory);
	return *known;
}

static int make(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
		bool directory, const struct metadata *metadata, ntfs_inode **out)
{
	uint64_t taken;
	le32 security_id;
	int error = volume_hold(volume, parent);

	if (error != 0)
		return error;
	error = volume_find(volume, name, length, &taken);
	if (error == 0)
		return -EEXIST;
	if (error != -ENOENT)
		return error;
	security_id = metadata->security_id != 0 ? cpu_to_le32(metadata->security_id)
						 : inherited(volume, directory);
	volume_place(volume);
	*out = ntfs_create(volume->directory, security_id, (const ntfschar *)name, (u8)length,
			   directory ? S_IFDIR : S_IFREG);
	return *out != NULL ? 0 : error_of_errno();
}

static int finish_node(struct volume *volume, ntfs_inode *inode, int error, uint64_t *number,
		       uint32_t *security_id)
{
	int closing;

	*number = inode->mft_no;
	*security_id = le32_to_cpu(inode->security_id);
	closing = volume_close(volume, inode);
	return error != 0 ? error : closing;
}

int volume_create_directory(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
			    const struct metadata *metadata, uint64_t *number, uint32_t *security_id)
{
	ntfs_inode *inode;
	int error = make(volume, parent, name, length, true, metadata, &inode);

	if (error != 0)
		return error;
	return finish_node(volume, inode, apply(volume, inode, metadata), number, security_id);
}

/* ---- data -------------------------------------------------------------- */

static int write_data(struct volume *volume, const void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		s64 n = ntfs_attr_pwrite(volume->data, volume->written, (s64)(length - done),
					 (const uint8_t *)data + done);

		if (n <= 0)
			return error_of_errno();
		done += (size_t)n;
		volume->written += n;
	}
	return 0;
}

/* Allocates all of `size` at once, so that the file lies in one piece where it can. */
static int start_data(struct volume *volume, ntfs_inode *inode, ntfschar *name, u32 name_length,
		      const void *data, size_t length, uint64_t size)
{
	volume->written = 0;
	volume->data = ntfs_attr_open(inode, AT_DATA, name, name_length);
	if (volume->data == NULL)
		return error_of_errno();
	volume_place(volume);
	if (ntfs_attr_truncate_solid(volume->data, (s64)size) != 0)
		return error_of_errno();
	volume_placed(volume, volume->data);
	return write_data(volume, data, length);
}

static void end_data(struct volume *volume)
{
	if (volume->data != NULL)
		ntfs_attr_close(volume->data);
	volume->data = NULL;
}

int volume_create_file(struct volume *volume, uint64_t parent, const uint16_t *name, size_t length,
		       const struct metadata *metadata, const void *data, size_t length_given,
		       uint64_t size, uint64_t *number, uint32_t *security_id)
{
	ntfs_inode *inode;
	int error = make(volume, parent, name, length, false, metadata, &inode);

	if (error != 0)
		return error;
	error = apply(volume, inode, metadata);
	if (error == 0 && size > 0)
		error = start_data(volume, inode, AT_UNNAMED, 0, data, length_given, size);
	if (error == 0 && length_given < size) {
		volume->file = inode;
		*number = inode->mft_no;
		*security_id = le32_to_cpu(inode->security_id);
		return 0;
	}
	end_data(volume);
	return finish_node(volume, inode, error, number, security_id);
}

/*
 * Finds a stream's name as it is written, since Windows tells streams apart
 * without regard to case. Reports 1 when found, 0 when there is none.
 */
static int find_stream(ntfs_inode *inode, ntfschar *name, size_t length)
{
	ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(inode, NULL);
	int found = 0;

	if (search == NULL)
		return error_of_errno();
	if (ntfs_attr_lookup(AT_DATA, length != 0 ? name : AT_UNNAMED, (u32)length, IGNORE_CASE, 0, NULL, 0,
			     search) == 0) {
		const ATTR_RECORD *record = search->attr;

		memcpy(name, (const uint8_t *)record + le16_to_cpu(record->name_offset),
		       length * sizeof *name);
		found = 1;
	} else if (errno != ENOENT) {
		found = error_of_errno();
	}
	ntfs_attr_put_search_ctx(search);
	return found;
}

int volume_create_stream(struct volume *volume, uint64_t number, const uint16_t *name, size_t length,
			 const void *data, size_t length_given, uint64_t size)
{
	ntfschar stream[NTFS_MAX_NAME_LEN];
	ntfs_inode *inode;
	int found;
	int error = length <= NTFS_MAX_NAME_LEN ? volume_let_go(volume) : -ENAMETOOLONG;

	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, number);
	if (inode == NULL)
		return error_of_errno();
	memcpy(stream, name, length * sizeof *stream);
	found = find_stream(inode, stream, length);
	if (found < 0)
		error = found;
	else if (found == 0 && ntfs_attr_add(inode, AT_DATA, stream, (u8)length, NULL, 0) != 0)
		error = error_of_errno();
	if (error == 0)
		error = start_data(volume, inode, length != 0 ? stream : AT_UNNAMED, (u32)length, data,
				   length_given, size);
	if (error == 0 && length_given < size) {
		volume->file = inode;
		return 0;
	}
	end_data(volume);
	if (ntfs_inode_close(inode) != 0 && error == 0)
		error = error_of_errno();
	return error;
}

/* The name of one alternate stream. Reports its length, or 0 when there is none. */
static int any_stream(ntfs_inode *inode, ntfschar *name)
{
	ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(inode, NULL);
	int length = 0;

	if (search == NULL)
		return error_of_errno();
	while (length == 0 && ntfs_attr_lookup(AT_DATA, NULL, 0, CASE_SENSITIVE, 0, NULL, 0, search) == 0)
		length = search->attr->name_length;
	if (length > 0)
		memcpy(name, (const uint8_t *)search->attr + le16_to_cpu(search->attr->name_offset),
		       (size_t)length * sizeof *name);
	else if (errno != ENOENT)
		length = error_of_errno();
	ntfs_attr_put_search_ctx(search);
	return length;
}

int volume_remove_streams(struct volume *volume, uint64_t number)
{
	ntfschar stream[NTFS_MAX_NAME_LEN];
	ntfs_inode *inode;
	int length;
	int error = volume_let_go(volume);

	if (error != 0)
		return error;
	inode = ntfs_inode_open(volume->ntfs, number);
	if (inode == NULL)
		return error_of_errno();
	while (error == 0 && (length = any_stream(inode, stream)) != 0) {
		if (length < 0)
			error = length;
		else if (ntfs_attr_remove(inode, AT_DATA, stream, (u32)length) != 0)
			error = error_of_errno();
	}
	if (ntfs_inode_close(inode) != 0 && error == 0)
		error = error_of_errno();
	return error;
}

int volume_append(struct volume *volume, const void *data, size_t length)
{
	return write_data(volume, data, length);
}

int volume_finish(struct volume *volume)
{
	ntfs_inode *inode = volume->file;

	end_data(volume);
	volume->file = NULL;
	return volume_close(volume, inode);
}
