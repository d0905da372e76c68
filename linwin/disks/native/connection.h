/*
 * A connection to an NBD export, read at once and written behind.
 *
 * A write is copied and sent while the caller goes on; reads wait for writes
 * that they overlap. After the first request that the export refused, every
 * call fails with its errno.
 */
#ifndef LINWIN_CONNECTION_H
#define LINWIN_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOCK_BYTES = 64 * 1024, /* the cluster size of the qcow2 files behind the export */
	LANE_BYTES = 16 * BLOCK_BYTES,
	LANES = 4, /* writes under way at most */
};

struct connection;

/* One write: fill `data`, then lane_send() it. */
struct lane {
	uint8_t *data; /* room for LANE_BYTES */
	uint64_t start;
	size_t length;
	int busy;
	struct connection *connection;
};

/* Takes over the connected socket `fd`. NULL on failure, with errno set. */
struct connection *connection_open(int fd);
void connection_close(struct connection *connection);

/* Bytes of the export. */
uint64_t connection_size(const struct connection *connection);

/* The errno of the first request that the export refused, 0 if none was. */
int connection_error(const struct connection *connection);

/* Bytes that the export was asked for so far; holes are not. */
uint64_t connection_bytes_read(const struct connection *connection);

/* Reads a part of one block. 0, or -1 with errno set, as all that follow. */
int connection_read(struct connection *connection, uint8_t *data, size_t length, uint64_t start);

/* Whether a lane is free now. */
bool connection_has_room(const struct connection *connection);
/* Waits for a lane that is free. NULL on failure. */
struct lane *connection_lane(struct connection *connection);
int lane_send(struct lane *lane, uint64_t start, size_t length);

/* Lets writes under way proceed, without waiting for them. */
int connection_proceed(struct connection *connection);

/* Waits for all writes and has the export flush them. */
int connection_flush(struct connection *connection);

#endif
