#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

struct connection {
	struct nbd_handle *nbd;
	uint64_t size;
	int error;
	uint64_t bytes_read;

	uint8_t *holes;    /* one bit a block: reads as zeros, so it need not be fetched */
	uint64_t surveyed; /* how far the search for holes has come */

	struct lane lanes[LANES];
	int busy_lanes;
};

static int fail(struct connection *connection, int error)
{
	if (error == 0)
		error = EIO;
	if (connection->error == 0)
		connection->error = error;
	errno = error;
	return -1;
}

static int check(const struct connection *connection)
{
	errno = connection->error;
	return connection->error != 0 ? -1 : 0;
}

uint64_t connection_size(const struct connection *connection)
{
	return connection->size;
}

int connection_error(const struct connection *connection)
{
	return connection->error;
}

uint64_t connection_bytes_read(const struct connection *connection)
{
	return connection->bytes_read;
}

/* ---- holes ------------------------------------------------------------- */

static bool is_hole(const struct connection *connection, uint64_t block)
{
	return connection->holes[block / 8] >> (block % 8) & 1;
}

static void fill_holes(struct connection *connection, uint64_t start, size_t length)
{
	for (uint64_t n = start / BLOCK_BYTES; n * BLOCK_BYTES < start + length; n++)
		connection->holes[n / 8] &= (uint8_t) ~(1U << (n % 8));
}

static int note_extents(void *connection_pointer, const char *context, uint64_t at, uint32_t *entries,
			size_t count, int *error)
{
	struct connection *connection = connection_pointer;

	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		uint64_t end = at + entries[i];

		if (end > connection->size)
			end = connection->size;
		if (entries[i + 1] & LIBNBD_STATE_ZERO)
			for (uint64_t n = (at + BLOCK_BYTES - 1) / BLOCK_BYTES; (n + 1) * BLOCK_BYTES <= end;
			     n++)
				connection->holes[n / 8] |= (uint8_t)(1U << (n % 8));
		at = end;
	}
	/* How far the server answers is its own choice. */
	connection->surveyed = at;
	return 0;
}

static int find_holes(struct connection *connection)
{
	const uint64_t most = 1ULL << 31; /* what one request can ask for, in whole blocks */
	nbd_extent_callback note = { .callback = note_extents, .user_data = connection };

	while (connection->surveyed < connection->size) {
		uint64_t at = connection->surveyed;
		uint64_t left = connection->size - at;

		if (nbd_block_status(connection->nbd, left < most ? left : most, at, note, 0) == -1)
			return fail(connection, nbd_get_errno());
		if (connection->surveyed <= at)
			return fail(connection, EPROTO);
	}
	return 0;
}

/* ---- writes under way -------------------------------------------------- */

static int write_done(void *lane_pointer, int *error)
{
	struct lane *lane = lane_pointer;

	if (*error != 0)
		fail(lane->connection, *error);
	lane->busy = false;
	lane->connection->busy_lanes--;
	return 1; /* retire the command */
}

/* Waits at most `milliseconds` (-1: without limit) for the connection to move. */
static int move(struct connection *connection, int milliseconds)
{
	if (nbd_poll(connection->nbd, milliseconds) == -1)
		return fail(connection, nbd_get_errno());
	return check(connection);
}

/* Requests have no order among themselves: wait for writes that touch the same bytes. */
static int await_overlapping(struct connection *connection, uint64_t start, size_t length)
{
	for (int i = 0; i < LANES; i++) {
		struct lane *lane = &connection->lanes[i];

		while (lane->busy && lane->start < start + length && start < lane->start + lane->length)
			if (move(connection, -1) != 0)
				return -1;
	}
	return 0;
}

bool connection_has_room(const struct connection *connection)
{
	return connection->busy_lanes < LANES;
}

struct lane *connection_lane(struct connection *connection)
{
	for (;;) {
		for (int i = 0; i < LANES; i++)
			if (!connection->lanes[i].busy)
				return &connection->lanes[i];
		if (move(connection, -1) != 0)
			return NULL;
	}
}

int lane_send(struct lane *lane, uint64_t start, size_t length)
{
	struct connection *connection = lane->connection;
	nbd_completion_callback done = { .callback = write_done, .user_data = lane };

	if (check(connection) != 0 || await_overlapping(connection, start, length) != 0)
		return -1;
	fill_holes(connection, start, length);
	lane->start = start;
	lane->length = length;
	lane->busy = true;
	connection->busy_lanes++;
	if (nbd_aio_pwrite(connection->nbd, lane->data, length, start, done, 0) == -1) {
		/* libnbd may or may not have called write_done: the error ends everything anyway. */
		return fail(connection, nbd_get_errno());
	}
	return 0;
}

int connection_read(struct connection *connection, uint8_t *data, size_t length, uint64_t start)
{
	if (check(connection) != 0)
		return -1;
	if (is_hole(connection, start / BLOCK_BYTES)) {
		memset(data, 0, length);
		return 0;
	}
	if (await_overlapping(connection, start, length) != 0)
		return -1;
	if (nbd_pread(connection->nbd, data, length, start, 0) == -1)
		return fail(connection, nbd_get_errno());
	connection->bytes_read += length;
	return 0;
}

int connection_proceed(struct connection *connection)
{
	return connection->busy_lanes > 0 ? move(connection, 0) : check(connection);
}

int connection_flush(struct connection *connection)
{
	if (check(connection) != 0)
		return -1;
	while (connection->busy_lanes > 0)
		if (move(connection, -1) != 0)
			return -1;
	if (nbd_flush(connection->nbd, 0) == -1)
		return fail(connection, nbd_get_errno());
	return 0;
}

/* ---- opening and closing ----------------------------------------------- */

static int connect_export(struct connection *connection, int fd)
{
	int64_t size;

	connection->nbd = nbd_create();
	if (connection->nbd == NULL ||
	    nbd_add_meta_context(connection->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
	    nbd_connect_socket(connection->nbd, fd) == -1)
		return fail(connection, nbd_get_errno());
	size = nbd_get_size(connection->nbd);
	if (size == -1)
		return fail(connection, nbd_get_errno());
	connection->size = (uint64_t)size;
	return 0;
}

static int allocate(struct connection *connection)
{
	connection->holes = calloc(1, connection->size / BLOCK_BYTES / 8 + 1);
	if (connection->holes == NULL)
		return fail(connection, ENOMEM);
	for (int i = 0; i < LANES; i++) {
		connection->lanes[i].connection = connection;
		connection->lanes[i].data = malloc(LANE_BYTES);
		if (connection->lanes[i].data == NULL)
			return fail(connection, ENOMEM);
	}
	return 0;
}

struct connection *connection_open(int fd)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (connection == NULL)
		return NULL;
	if (connect_export(connection, fd) != 0 || allocate(connection) != 0 ||
	    find_holes(connection) != 0) {
		int error = errno;

		connection_close(connection);
		errno = error;
		return NULL;
	}
	return connection;
}

void connection_close(struct connection *connection)
{
	/* The handle first: it may still be sending from the lanes. */
	nbd_close(connection->nbd);
	for (int i = 0; i < LANES; i++)
		free(connection->lanes[i].data);
	free(connection->holes);
	free(connection);
}
