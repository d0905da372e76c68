#include "content.h"

#include "volume_state.h"

#include <ntfs-3g/layout.h>

static int refusal(const ntfs_inode *inode)
{
	if (inode->mrec->flags & MFT_RECORD_IS_DIRECTORY)
		return -EISDIR;
	return inode->flags & FILE_ATTR_REPARSE_POINT ? -EOPNOTSUPP : 0;
}

static int open_data(struct volume *volume)
{
	volume->data = ntfs_attr_open(volume->file, AT_DATA, AT_UNNAMED, 0);
	if (volume->data == NULL)
		return error_of_errno();
	return NAttrEncrypted(volume->data) ? -EOPNOTSUPP : 0;
}

int content_open(struct volume *volume, uint64_t number, uint64_t *size)
{
	/* Closing the file writes into its directory, of which there must be no second copy. */
	int error = volume_let_go(volume);

	if (error != 0)
		return error;
	volume->file = ntfs_inode_open(volume->ntfs, number);
	if (volume->file == NULL)
		return error_of_errno();
	error = refusal(volume->file);
	if (error == 0)
		error = open_data(volume);
	if (error != 0) {
		content_close(volume);
		return error;
	}
	*size = (uint64_t)volume->data->data_size;
	return 0;
}

int content_read(struct volume *volume, uint64_t position, void *buffer, size_t length)
{
	for (size_t done = 0; done < length;) {
		s64 n = ntfs_attr_pread(volume->data, (s64)(position + done), (s64)(length - done),
					(uint8_t *)buffer + done);

		if (n <= 0)
			return error_of_errno();
		done += (size_t)n;
	}
	return 0;
}

int content_write(struct volume *volume, uint64_t position, const void *data, size_t length)
{
	for (size_t done = 0; done < length;) {
		s64 n = ntfs_attr_pwrite(volume->data, (s64)(position + done), (s64)(length - done),
					 (const uint8_t *)data + done);

		if (n <= 0)
			return error_of_errno();
		done += (size_t)n;
	}
	return 0;
}

int content_truncate(struct volume *volume, uint64_t size)
{
	return ntfs_attr_truncate(volume->data, (s64)size) != 0 ? error_of_errno() : 0;
}

int content_close(struct volume *volume)
{
	ntfs_inode *inode = volume->file;
	int error = 0;

	if (volume->data != NULL) {
		if (ntfs_attr_pclose(volume->data) != 0)
			error = error_of_errno();
		ntfs_attr_close(volume->data);
	}
	volume->data = NULL;
	volume->file = NULL;
	if (ntfs_inode_close(inode) != 0 && error == 0)
		error = error_of_errno();
	return error;
}
