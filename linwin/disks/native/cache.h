/*
 * A bounded write-back cache of an NBD export's blocks.
 *
 * libntfs-3g reads and writes in pieces of 512 bytes to a few kilobytes, most
 * of them metadata that it touches again at once. The cache's blocks are the
 * clusters of the qcow2 overlay behind the export, so that an overlay is
 * written whole clusters at a time and only where bytes really changed. What has
 * not been touched for a while is sent while the caller goes on, neighbours
 * together; the rest waits, since it is likely to change again.
 */
#ifndef LINWIN_CACHE_H
#define LINWIN_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "connection.h"

struct cache;

/* `bytes` bounds the blocks held. NULL with errno set on failure. */
struct cache *cache_open(struct connection *connection, size_t bytes);
void cache_close(struct cache *cache);

/* Both lie within the export. 0, or -1 with errno set. */
int cache_read(struct cache *cache, uint8_t *buffer, size_t count, uint64_t at);
int cache_write(struct cache *cache, const uint8_t *buffer, size_t count, uint64_t at);

/* Sends all that is dirty. It may still be under way on return. */
int cache_write_back(struct cache *cache);

#endif
