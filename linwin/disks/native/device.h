/*
 * A libntfs-3g device whose sectors are an NBD export.
 *
 * Not thread-safe. A device is not crash-consistent while mounted: an overlay
 * whose writer died is thrown away.
 */
#ifndef LINWIN_DEVICE_H
#define LINWIN_DEVICE_H

#include <stddef.h>
#include <stdint.h>

struct device;
struct ntfs_device_operations;

/* For ntfs_device_alloc(), with a struct device as its private data. */
extern struct ntfs_device_operations device_operations;

/*
 * Takes over the connected socket `fd`, an NBD server's, and presents its
 * export's bytes from `offset` on. `cache_bytes` bounds the block cache.
 * NULL on failure, with errno set.
 */
struct device *device_open(int fd, uint64_t offset, size_t cache_bytes);

/* Bytes from `offset` to the export's end. */
uint64_t device_size(const struct device *device);

/* The errno of the first request that the export refused, 0 if none was. */
int device_export_error(const struct device *device);

/* Bytes that were read of the export so far: not what the cache had, nor holes. */
uint64_t device_bytes_read(const struct device *device);

/*
 * From now on shows the first records of $MFT in place of $MFTMirr, for a volume
 * that is only read. 0, or -1 when the boot sector cannot be read.
 */
int device_ignore_mirror(struct device *device);

/* Writes all that is dirty and has the export flush it. 0, or -1 with errno set. */
int device_flush(struct device *device);

/* Drops the connection and what is still dirty. */
void device_close(struct device *device);

#endif
