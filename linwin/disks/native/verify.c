#include "verify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <ntfs-3g/device.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/logfile.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/volume.h>

static int error_of_errno(void)
{
	return errno != 0 ? -errno : -EIO;
}

/* Whether Windows would have something to replay. */
static bool journal_is_clean(ntfs_volume *volume)
{
	RESTART_PAGE_HEADER *restart = NULL;
	ntfs_attr *journal = NULL;
	ntfs_inode *inode = ntfs_inode_open(volume, FILE_LogFile);
	bool clean = false;

	if (inode != NULL)
		journal = ntfs_attr_open(inode, AT_DATA, AT_UNNAMED, 0);
	if (journal != NULL)
		clean = ntfs_check_logfile(journal, &restart) && ntfs_is_logfile_clean(journal, restart);
	free(restart);
	if (journal != NULL)
		ntfs_attr_close(journal);
	if (inode != NULL)
		ntfs_inode_close(inode);
	return clean;
}

int volume_verify(struct device *device)
{
	struct ntfs_device *dev = ntfs_device_alloc("linwin", 0, &device_operations, device);
	ntfs_volume *volume;
	int result = VOLUME_CLEAN;

	if (dev == NULL)
		return -ENOMEM;
	errno = 0;
	volume = ntfs_device_mount(dev, NTFS_MNT_RDONLY);
	if (volume == NULL) {
		result = error_of_errno();
		ntfs_device_free(dev);
		return result;
	}
	if (ntfs_open_secure(volume) != 0)
		result = error_of_errno();
	else if (volume->flags & VOLUME_IS_DIRTY)
		result = VOLUME_DIRTY;
	else if (!journal_is_clean(volume))
		result = VOLUME_JOURNAL;
	ntfs_close_secure(volume);
	ntfs_umount(volume, TRUE);
	return result;
}
