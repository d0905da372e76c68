#include "reading.h"

#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "volume_state.h"

#include <ntfs-3g/ea.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/reparse.h>

enum { LARGEST_VALUE = 64 * 1024 };

/* Opens an inode with no other held: closing writes nothing, since nothing was changed. */
static int open_alone(struct volume *volume, uint64_t number, ntfs_inode **out)
{
	int error = volume_let_go(volume);

	if (error != 0)
		return error;
	*out = ntfs_inode_open(volume->ntfs, number);
	return *out != NULL ? 0 : error_of_errno();
}

static int close_alone(ntfs_inode *inode, int error)
{
	if (ntfs_inode_close(inode) != 0 && error == 0)
		return error_of_errno();
	return error;
}

int reading_details(struct volume *volume, uint64_t number, struct details *details)
{
	le32 attributes = const_cpu_to_le32(0);
	ntfs_inode *inode;
	int error = open_alone(volume, number, &inode);

	if (error != 0)
		return error;
	if (ntfs_get_ntfs_attrib(inode, (char *)&attributes, sizeof attributes) < 0)
		error = error_of_errno();
	details->attributes = le32_to_cpu(attributes);
	details->created = (uint64_t)sle64_to_cpu(inode->creation_time);
	details->modified = (uint64_t)sle64_to_cpu(inode->last_data_change_time);
	details->changed = (uint64_t)sle64_to_cpu(inode->last_mft_change_time);
	details->accessed = (uint64_t)sle64_to_cpu(inode->last_access_time);
	details->size = inode->mrec->flags & MFT_RECORD_IS_DIRECTORY ? 0 : (uint64_t)inode->data_size;
	return close_alone(inode, error);
}

/* ---- values ------------------------------------------------------------- */

static int get(struct volume *volume, ntfs_inode *inode, int value, char *buffer, size_t size)
{
	switch (value) {
	case VALUE_SECURITY:
		return ntfs_get_ntfs_acl(&volume->security, inode, buffer, size);
	case VALUE_REPARSE:
		return ntfs_get_ntfs_reparse_data(inode, buffer, size);
	case VALUE_EXTENDED:
		return ntfs_get_ntfs_ea(inode, buffer, size);
	}
	errno = EINVAL;
	return -1;
}

static int copy_value(struct volume *volume, ntfs_inode *inode, int value, uint8_t **data, size_t *size)
{
	int length;

	errno = 0;
	length = get(volume, inode, value, NULL, 0);
	if (length < 0)
		return errno == ENODATA ? 0 : error_of_errno();
	if (length == 0)
		return 0;
	if (length > LARGEST_VALUE)
		return -EFBIG;
	*data = malloc((size_t)length);
	if (*data == NULL)
		return -ENOMEM;
	if (get(volume, inode, value, (char *)*data, (size_t)length) != length) {
		free(*data);
		*data = NULL;
		return error_of_errno();
	}
	*size = (size_t)length;
	return 0;
}

int reading_value(struct volume *volume, uint64_t number, int value, uint8_t **data, size_t *size)
{
	ntfs_inode *inode;
	int error = open_alone(volume, number, &inode);

	*data = NULL;
	*size = 0;
	if (error != 0)
		return error;
	return close_alone(inode, copy_value(volume, inode, value, data, size));
}

/* ---- names and streams -------------------------------------------------- */

static int add_name(uint64_t number, const void *text, uint8_t length, uint8_t **names, size_t *size)
{
	size_t text_bytes = (size_t)length * sizeof(ntfschar);
	size_t bytes = (sizeof(struct name) + text_bytes + 7) & ~(size_t)7;
	uint8_t *grown = realloc(*names, *size + bytes);
	struct name *name;

	if (grown == NULL)
		return -ENOMEM;
	*names = grown;
	name = (struct name *)(grown + *size);
	memset(name, 0, bytes);
	name->number = number;
	name->kind = KIND_FILE;
	name->length = length;
	memcpy(name + 1, text, text_bytes);
	*size += bytes;
	return 0;
}

static int list_streams(ntfs_inode *inode, uint8_t **names, size_t *size)
{
	ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(inode, NULL);
	int error = 0;

	if (search == NULL)
		return error_of_errno();
	while (error == 0 && ntfs_attr_lookup(AT_DATA, NULL, 0, CASE_SENSITIVE, 0, NULL, 0, search) == 0) {
		/* An attribute in several extents comes once for each; the first says how long it is. */
		if (search->attr->name_length == 0 ||
		    (search->attr->non_resident && search->attr->lowest_vcn != const_cpu_to_sle64(0)))
			continue;
		error = add_name((uint64_t)ntfs_get_attribute_value_length(search->attr),
				 (const uint8_t *)search->attr + le16_to_cpu(search->attr->name_offset),
				 search->attr->name_length, names, size);
	}
	if (error == 0 && errno != ENOENT)
		error = error_of_errno();
	ntfs_attr_put_search_ctx(search);
	return error;
}

/* A file name's attribute, or NULL for one that is not whole. libntfs-3g checks no more than the record. */
static const FILE_NAME_ATTR *value_of(const ATTR_RECORD *record)
{
	const FILE_NAME_ATTR *name = (const void *)((const uint8_t *)record + le16_to_cpu(record->value_offset));
	u64 length = le32_to_cpu(record->value_length), end = le16_to_cpu(record->value_offset) + length;

	if (record->non_resident || end > le32_to_cpu(record->length) || length < sizeof *name ||
	    length < sizeof *name + name->file_name_length * sizeof(ntfschar))
		return NULL;
	return name;
}

static int list_names(ntfs_inode *inode, uint8_t **names, size_t *size)
{
	ntfs_attr_search_ctx *search = ntfs_attr_get_search_ctx(inode, NULL);
	int error = 0;

	if (search == NULL)
		return error_of_errno();
	while (error == 0 && ntfs_attr_lookup(AT_FILE_NAME, NULL, 0, CASE_SENSITIVE, 0, NULL, 0, search) == 0) {
		const FILE_NAME_ATTR *name = value_of(search->attr);

		if (name == NULL)
			error = -EIO;
		else if (name->file_name_type != FILE_NAME_DOS)
			error = add_name(MREF_LE(name->parent_directory), name->file_name,
					 name->file_name_length, names, size);
	}
	if (error == 0 && errno != ENOENT)
		error = error_of_errno();
	ntfs_attr_put_search_ctx(search);
	return error;
}

static int list(struct volume *volume, uint64_t number, int (*add_all)(ntfs_inode *, uint8_t **, size_t *),
		uint8_t **names, size_t *size)
{
	ntfs_inode *inode;
	int error = open_alone(volume, number, &inode);

	*names = NULL;
	*size = 0;
	if (error != 0)
		return error;
	error = close_alone(inode, add_all(inode, names, size));
	if (error != 0) {
		free(*names);
		*names = NULL;
	}
	return error;
}

int reading_names(struct volume *volume, uint64_t number, uint8_t **names, size_t *size)
{
	return list(volume, number, list_names, names, size);
}

int reading_streams(struct volume *volume, uint64_t number, uint8_t **names, size_t *size)
{
	return list(volume, number, list_streams, names, size);
}

int content_open_stream(struct volume *volume, uint64_t number, const uint16_t *name, size_t length,
			uint64_t *size)
{
	ntfschar text[NTFS_MAX_NAME_LEN];
	int error = length <= NTFS_MAX_NAME_LEN ? open_alone(volume, number, &volume->file) : -ENAMETOOLONG;

	if (error != 0)
		return error;
	memcpy(text, name, length * sizeof *text);
	volume->data = ntfs_attr_open(volume->file, AT_DATA, text, (u32)length);
	if (volume->data == NULL)
		error = error_of_errno();
	else if (NAttrEncrypted(volume->data))
		error = -EOPNOTSUPP;
	if (error != 0) {
		content_close(volume);
		return error;
	}
	*size = (uint64_t)volume->data->data_size;
	return 0;
}

/* ---- where records lie -------------------------------------------------- */

int reading_records(struct volume *volume, struct extent **extents, size_t *count, uint32_t *record_size)
{
	const ntfs_volume *ntfs = volume->ntfs;
	const runlist_element *run;
	size_t runs = 0;

	*extents = NULL;
	*count = 0;
	*record_size = ntfs->mft_record_size;
	if (ntfs_attr_map_whole_runlist(ntfs->mft_na) != 0)
		return error_of_errno();
	for (run = ntfs->mft_na->rl; run->length != 0; run++)
		runs++;
	*extents = calloc(runs + 1, sizeof **extents);
	if (*extents == NULL)
		return -ENOMEM;
	for (run = ntfs->mft_na->rl; run->length != 0; run++) {
		if (run->lcn < 0) { /* a table of records has no holes */
			free(*extents);
			*extents = NULL;
			return -EIO;
		}
		(*extents)[(*count)++] = (struct extent){(uint64_t)run->lcn << ntfs->cluster_size_bits,
							 (uint64_t)run->length << ntfs->cluster_size_bits};
	}
	return 0;
}
