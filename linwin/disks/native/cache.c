#include "cache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	NONE = -1,
	FEWEST_BLOCKS = 64, /* libntfs-3g has several at once in its hands */
	/*
	 * A dirty block is cold, and may be sent, once so many others have come since
	 * it was touched: file data soon, the part of the MFT at hand not yet. A run
	 * of blocks waits until a lane can be filled.
	 */
	RUN = LANE_BYTES / BLOCK_BYTES,
	COLD_AFTER = 4 * RUN,
};

struct block {
	uint64_t number;  /* position on the export, in blocks */
	uint64_t touched; /* the cache's clock when it was last read or written */
	uint64_t queued;  /* the clock when it joined the queue; 0: it is not there */
	int32_t next;     /* next in the same hash bucket */
	bool dirty;
	bool recent; /* touched since the clock hand last passed */
};

struct cache {
	struct connection *connection;
	struct block *blocks;
	uint8_t *data;
	int32_t *buckets;
	int32_t capacity;
	int32_t used;
	int32_t hand;
	uint64_t clock; /* blocks that have come in */
	int32_t *order; /* room for sorting dirty blocks */

	/* Blocks that became dirty, oldest first, and may be clean again: a ring with room for all. */
	int32_t *queue;
	int32_t queue_start;
	int32_t queue_length;
};

static uint8_t *data_of(struct cache *cache, int32_t index)
{
	return cache->data + (size_t)index * BLOCK_BYTES;
}

/* The last block of an export may be short. */
static size_t length_of(const struct cache *cache, uint64_t number)
{
	uint64_t left = connection_size(cache->connection) - number * BLOCK_BYTES;

	return left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
}

/* ---- finding blocks ---------------------------------------------------- */

static int32_t *bucket(struct cache *cache, uint64_t number)
{
	return &cache->buckets[(number * 0x9E3779B97F4A7C15ULL >> 32) % (uint64_t)cache->capacity];
}

static int32_t find(struct cache *cache, uint64_t number)
{
	int32_t index = *bucket(cache, number);

	while (index != NONE && cache->blocks[index].number != number)
		index = cache->blocks[index].next;
	return index;
}

static void unlink_block(struct cache *cache, int32_t index)
{
	int32_t *link = bucket(cache, cache->blocks[index].number);

	while (*link != index)
		link = &cache->blocks[*link].next;
	*link = cache->blocks[index].next;
}

/* ---- writing back ------------------------------------------------------ */

/* Puts a dirty block into a lane, behind what is there. */
static void load(struct cache *cache, struct lane *lane, size_t *length, int32_t index)
{
	struct block *block = &cache->blocks[index];

	memcpy(lane->data + *length, data_of(cache, index), BLOCK_BYTES);
	*length += length_of(cache, block->number);
	block->dirty = false;
}

static int by_number(const void *left, const void *right, void *blocks)
{
	uint64_t a = ((struct block *)blocks)[*(const int32_t *)left].number;
	uint64_t b = ((struct block *)blocks)[*(const int32_t *)right].number;

	return a < b ? -1 : a > b;
}

/* Sends all dirty blocks, ascending, neighbours together. */
int cache_write_back(struct cache *cache)
{
	int32_t count = 0;

	for (int32_t i = 0; i < cache->used; i++)
		if (cache->blocks[i].dirty)
			cache->order[count++] = i;
	qsort_r(cache->order, (size_t)count, sizeof *cache->order, by_number, cache->blocks);
	for (int32_t i = 0; i < count;) {
		struct lane *lane = connection_lane(cache->connection);
		uint64_t first = cache->blocks[cache->order[i]].number;
		size_t length = 0;

		if (lane == NULL)
			return -1;
		while (i < count && length < LANE_BYTES &&
		       cache->blocks[cache->order[i]].number == first + length / BLOCK_BYTES)
			load(cache, lane, &length, cache->order[i++]);
		if (lane_send(lane, first * BLOCK_BYTES, length) != 0)
			return -1;
	}
	return 0;
}

static void enqueue(struct cache *cache, int32_t index)
{
	cache->blocks[index].queued = cache->clock;
	cache->queue[(cache->queue_start + cache->queue_length++) % cache->capacity] = index;
}

static void dequeue(struct cache *cache)
{
	cache->blocks[cache->queue[cache->queue_start]].queued = 0;
	cache->queue_start = (cache->queue_start + 1) % cache->capacity;
	cache->queue_length--;
}

/* Sends a dirty block with the cold dirty ones behind it. Waits for a lane. */
static int send_run(struct cache *cache, int32_t index)
{
	struct lane *lane = connection_lane(cache->connection);
	uint64_t first = cache->blocks[index].number;
	size_t length = 0;

	if (lane == NULL)
		return -1;
	do {
		load(cache, lane, &length, index);
		index = find(cache, first + length / BLOCK_BYTES);
	} while (length < LANE_BYTES && index != NONE && cache->blocks[index].dirty &&
		 cache->clock - cache->blocks[index].touched >= COLD_AFTER);
	return lane_send(lane, first * BLOCK_BYTES, length);
}

/* Sends what has long been dirty, as far as lanes are free: nobody waits for this. */
static int write_behind(struct cache *cache)
{
	if (connection_proceed(cache->connection) != 0)
		return -1;
	while (cache->queue_length > 0 && connection_has_room(cache->connection)) {
		int32_t index = cache->queue[cache->queue_start];
		struct block *block = &cache->blocks[index];

		if (cache->clock - block->queued < COLD_AFTER + RUN)
			return 0;
		dequeue(cache);
		if (!block->dirty)
			continue;
		if (cache->clock - block->touched < COLD_AFTER)
			enqueue(cache, index);
		else if (send_run(cache, index) != 0)
			return -1;
	}
	return 0;
}

/* ---- getting blocks ---------------------------------------------------- */

/* A slot for a new block: an unused one, or by the clock algorithm one that is clean. */
static int32_t take_slot(struct cache *cache)
{
	if (cache->used < cache->capacity)
		return cache->used++;
	for (;;) {
		int32_t index = cache->hand;
		struct block *block = &cache->blocks[index];

		cache->hand = (index + 1) % cache->capacity;
		if (block->recent) {
			block->recent = false;
			continue;
		}
		if (block->dirty && send_run(cache, index) != 0)
			return NONE;
		unlink_block(cache, index);
		return index;
	}
}

static int32_t get(struct cache *cache, uint64_t number)
{
	int32_t index = find(cache, number);

	if (index != NONE) {
		cache->blocks[index].touched = cache->clock;
		cache->blocks[index].recent = true;
		return index;
	}
	cache->clock++;
	if (write_behind(cache) != 0)
		return NONE;
	index = take_slot(cache);
	if (index == NONE)
		return NONE;
	/* Linked in before it is read: a slot is always in the table, and a failed read ends all. */
	cache->blocks[index] = (struct block){
		.number = number,
		.touched = cache->clock,
		.queued = cache->blocks[index].queued, /* the slot's, whatever it holds */
		.next = *bucket(cache, number),
		.recent = true,
	};
	*bucket(cache, number) = index;
	if (connection_read(cache->connection, data_of(cache, index), length_of(cache, number),
			    number * BLOCK_BYTES) != 0)
		return NONE;
	return index;
}

static void make_dirty(struct cache *cache, int32_t index)
{
	cache->blocks[index].dirty = true;
	if (cache->blocks[index].queued == 0)
		enqueue(cache, index);
}

/* ---- reading and writing ----------------------------------------------- */

static size_t within_block(size_t count, uint64_t at)
{
	size_t room = BLOCK_BYTES - at % BLOCK_BYTES;

	return count < room ? count : room;
}

int cache_read(struct cache *cache, uint8_t *buffer, size_t count, uint64_t at)
{
	while (count > 0) {
		size_t piece = within_block(count, at);
		int32_t index = get(cache, at / BLOCK_BYTES);

		if (index == NONE)
			return -1;
		memcpy(buffer, data_of(cache, index) + at % BLOCK_BYTES, piece);
		buffer += piece;
		at += piece;
		count -= piece;
	}
	return connection_error(cache->connection) != 0 ? -1 : 0;
}

int cache_write(struct cache *cache, const uint8_t *buffer, size_t count, uint64_t at)
{
	while (count > 0) {
		size_t piece = within_block(count, at);
		int32_t index = get(cache, at / BLOCK_BYTES);
		uint8_t *target;

		if (index == NONE)
			return -1;
		target = data_of(cache, index) + at % BLOCK_BYTES;
		/* Much of what libntfs-3g writes is there already; it must not grow the overlay. */
		if (memcmp(target, buffer, piece) != 0) {
			memcpy(target, buffer, piece);
			make_dirty(cache, index);
		}
		buffer += piece;
		at += piece;
		count -= piece;
	}
	return 0;
}

/* ---- opening and closing ----------------------------------------------- */

struct cache *cache_open(struct connection *connection, size_t bytes)
{
	struct cache *cache = calloc(1, sizeof *cache);
	size_t capacity = bytes / BLOCK_BYTES;

	if (cache == NULL)
		return NULL;
	if (capacity < FEWEST_BLOCKS)
		capacity = FEWEST_BLOCKS;
	cache->connection = connection;
	cache->capacity = (int32_t)capacity;
	cache->blocks = calloc(capacity, sizeof *cache->blocks);
	cache->data = malloc(capacity * BLOCK_BYTES);
	cache->buckets = malloc(capacity * sizeof *cache->buckets);
	cache->order = malloc(capacity * sizeof *cache->order);
	cache->queue = malloc(capacity * sizeof *cache->queue);
	if (!cache->blocks || !cache->data || !cache->buckets || !cache->order || !cache->queue) {
		cache_close(cache);
		errno = ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < capacity; i++)
		cache->buckets[i] = NONE;
	return cache;
}

void cache_close(struct cache *cache)
{
	if (cache == NULL)
		return;
	free(cache->queue);
	free(cache->order);
	free(cache->buckets);
	free(cache->data);
	free(cache->blocks);
	free(cache);
}
