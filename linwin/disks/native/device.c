#include "device.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ntfs-3g/device.h>

#include "cache.h"
#include "connection.h"

struct device {
	struct connection *connection;
	struct cache *cache;
	uint64_t offset;   /* where the volume begins on the export */
	uint64_t position; /* of the operations that have no position of their own */

	/* Where $MFTMirr lies, and $MFT, whose first records are read instead; 0 bytes for never. */
	uint64_t mirror, mft, mirror_bytes;
};

uint64_t device_size(const struct device *device)
{
	return connection_size(device->connection) - device->offset;
}

int device_export_error(const struct device *device)
{
	return connection_error(device->connection);
}

uint64_t device_bytes_read(const struct device *device)
{
	return connection_bytes_read(device->connection);
}

int device_flush(struct device *device)
{
	if (cache_write_back(device->cache) != 0)
		return -1;
	return connection_flush(device->connection);
}

struct device *device_open(int fd, uint64_t offset, size_t cache_bytes)
{
	struct device *device = calloc(1, sizeof *device);

	if (device == NULL)
		return NULL;
	device->offset = offset;
	device->connection = connection_open(fd);
	if (device->connection != NULL && offset >= connection_size(device->connection))
		errno = EINVAL;
	else if (device->connection != NULL)
		device->cache = cache_open(device->connection, cache_bytes);
	if (device->cache == NULL) {
		int error = errno;

		device_close(device);
		errno = error;
		return NULL;
	}
	return device;
}

void device_close(struct device *device)
{
	cache_close(device->cache);
	if (device->connection != NULL)
		connection_close(device->connection);
	free(device);
}

/* ---- reading past a mirror that was not written ------------------------- */

static uint64_t number_at(const uint8_t *bytes, unsigned count)
{
	uint64_t value = 0;

	while (count-- > 0)
		value = value << 8 | bytes[count];
	return value;
}

/* A size as the boot sector has it: in `unit` bytes, or as a power of two where it is negative. */
static uint64_t scaled(uint8_t value, uint64_t unit)
{
	if (value <= 0x80)
		return value * unit;
	return value > 0x100 - 32 ? (uint64_t)1 << (0x100 - value) : 0;
}

int device_ignore_mirror(struct device *device)
{
	uint8_t boot[512];
	uint64_t cluster, records, sector, size = device_size(device);

	if (cache_read(device->cache, boot, sizeof boot, device->offset) != 0)
		return -1;
	sector = number_at(boot + 11, 2);
	cluster = scaled(boot[13], sector);
	records = 4 * scaled(boot[64], cluster);
	device->mft = number_at(boot + 48, 8) * cluster;
	device->mirror = number_at(boot + 56, 8) * cluster;
	device->mirror_bytes = records > cluster ? records : cluster;
	/* What does not fit is no volume, as libntfs-3g is about to find out. */
	if (device->mirror_bytes > size || device->mft > size - device->mirror_bytes ||
	    device->mirror > size - device->mirror_bytes)
		device->mirror_bytes = 0;
	return 0;
}

/* Puts what $MFT says over what was read of its mirror. */
static int mend(struct device *device, uint8_t *buffer, uint64_t count, uint64_t position)
{
	uint64_t start = position > device->mirror ? position : device->mirror;
	uint64_t end = device->mirror + device->mirror_bytes;

	if (end > position + count)
		end = position + count;
	if (start >= end)
		return 0;
	return cache_read(device->cache, buffer + (start - position), (size_t)(end - start),
			  device->offset + device->mft + (start - device->mirror));
}

/* ---- libntfs-3g's operations ------------------------------------------- */

static struct device *of(struct ntfs_device *dev)
{
	return dev->d_private;
}

static int operation_open(struct ntfs_device *dev, int flags)
{
	(void)flags;
	NDevSetOpen(dev);
	return 0;
}

static int operation_close(struct ntfs_device *dev)
{
	NDevClearOpen(dev);
	return device_flush(of(dev));
}

static s64 operation_seek(struct ntfs_device *dev, s64 offset, int whence)
{
	struct device *device = of(dev);
	s64 size = (s64)device_size(device);
	s64 base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (s64)device->position : size;

	if (base + offset < 0 || base + offset > size) {
		errno = EINVAL;
		return -1;
	}
	device->position = (uint64_t)(base + offset);
	return base + offset;
}

/* How much of [position, position + count) the volume has; -1 for nonsense. */
static s64 clip(const struct device *device, s64 count, s64 position)
{
	s64 size = (s64)device_size(device);

	if (count < 0 || position < 0) {
		errno = EINVAL;
		return -1;
	}
	if (position >= size)
		return 0;
	return count < size - position ? count : size - position;
}

static s64 operation_pread(struct ntfs_device *dev, void *buffer, s64 count, s64 position)
{
	struct device *device = of(dev);
	s64 todo = clip(device, count, position);

	if (todo > 0 &&
	    cache_read(device->cache, buffer, (size_t)todo, device->offset + (uint64_t)position) != 0)
		return -1;
	if (todo > 0 && mend(device, buffer, (uint64_t)todo, (uint64_t)position) != 0)
		return -1;
	return todo;
}

static s64 operation_pwrite(struct ntfs_device *dev, const void *buffer, s64 count, s64 position)
{
	struct device *device = of(dev);
	s64 todo = clip(device, count, position);

	if (todo > 0 &&
	    cache_write(device->cache, buffer, (size_t)todo, device->offset + (uint64_t)position) != 0)
		return -1;
	NDevSetDirty(dev);
	return todo;
}

static s64 operation_read(struct ntfs_device *dev, void *buffer, s64 count)
{
	s64 done = operation_pread(dev, buffer, count, (s64)of(dev)->position);

	if (done > 0)
		of(dev)->position += (uint64_t)done;
	return done;
}

static s64 operation_write(struct ntfs_device *dev, const void *buffer, s64 count)
{
	s64 done = operation_pwrite(dev, buffer, count, (s64)of(dev)->position);

	if (done > 0)
		of(dev)->position += (uint64_t)done;
	return done;
}

/* libntfs-3g syncs at points that matter to a live volume; here only the end does. */
static int operation_sync(struct ntfs_device *dev)
{
	NDevClearDirty(dev);
	return 0;
}

static int operation_stat(struct ntfs_device *dev, struct stat *status)
{
	memset(status, 0, sizeof *status);
	status->st_mode = S_IFREG | 0600;
	status->st_size = (off_t)device_size(of(dev));
	return 0;
}

static int operation_ioctl(struct ntfs_device *dev, unsigned long request, void *argument)
{
	if (request == BLKGETSIZE64) {
		*(uint64_t *)argument = device_size(of(dev));
		return 0;
	}
	errno = EOPNOTSUPP;
	return -1;
}

struct ntfs_device_operations device_operations = {
	.open = operation_open,
	.close = operation_close,
	.seek = operation_seek,
	.read = operation_read,
	.write = operation_write,
	.pread = operation_pread,
	.pwrite = operation_pwrite,
	.sync = operation_sync,
	.stat = operation_stat,
	.ioctl = operation_ioctl,
};
