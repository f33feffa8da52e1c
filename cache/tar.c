#include "cache/tar.h"

#include <stdio.h>
#include <string.h>

/* Where the fields of a ustar header lie. */
#define NAME_BYTES 100
#define PREFIX_BYTES 155
#define SIZE_AT 124
#define SIZE_BYTES 12
#define CHECKSUM_AT 148
#define CHECKSUM_BYTES 8
#define TYPE_AT 156
#define TARGET_AT 157
#define MAGIC_AT 257
#define DEVICE_AT 329
#define PREFIX_AT 345
#define OCTAL_LIMIT (UINT64_C(1) << 33) /* what eleven octal digits cannot say */

static const char types[] = { [TAR_FILE] = '0', [TAR_FOLDER] = '5', [TAR_LINK] = '2' };

static void put_octal(char *field, int digits, uint64_t value)
{
	while (digits-- > 0) {
		field[digits] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

static void put_size(char *block, uint64_t size)
{
	if (size < OCTAL_LIMIT) {
		put_octal(block + SIZE_AT, SIZE_BYTES - 1, size);
		return;
	}
	block[SIZE_AT] = (char)0x80;
	for (int i = SIZE_BYTES - 1; i > 0; i--, size >>= 8)
		block[SIZE_AT + i] = (char)(size & 0xff);
}

/* The sum of all bytes with the field itself as spaces. */
static void put_checksum(char *block)
{
	unsigned sum = 0;

	memset(block + CHECKSUM_AT, ' ', CHECKSUM_BYTES);
	for (int i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += (unsigned char)block[i];
	put_octal(block + CHECKSUM_AT, 6, sum);
	block[CHECKSUM_AT + 6] = '\0';
}

/* A path of more than 100 bytes is split at its first slash that leaves at most 100 behind it. */
static int put_path(char *block, const char *path, struct err *err)
{
	size_t length = strlen(path);
	const char *slash = path;

	if (length <= NAME_BYTES) {
		memcpy(block, path, length);
		return 0;
	}
	do {
		slash = strchr(slash + 1, '/');
	} while (slash && strlen(slash + 1) > NAME_BYTES);
	if (!slash || slash[1] == '\0' || slash - path > PREFIX_BYTES)
		return err_set(err, ERR_INVALID, "%s: too long for a tar", path);
	memcpy(block + PREFIX_AT, path, (size_t)(slash - path));
	memcpy(block, slash + 1, strlen(slash + 1));
	return 0;
}

int tar_header(const struct tar_entry *entry, char out[TAR_BLOCK_BYTES], struct err *err)
{
	char block[TAR_BLOCK_BYTES] = { 0 };
	char path[TAR_PATH_MAX + 1];

	if (strlen(entry->path) >= TAR_PATH_MAX - 1 || entry->path[0] == '\0' ||
	    entry->path[0] == '/')
		return err_set(err, ERR_INVALID, "\"%s\" does not fit into a tar", entry->path);
	snprintf(path, sizeof(path), "%s%s", entry->path, entry->kind == TAR_FOLDER ? "/" : "");
	if (put_path(block, path, err) < 0)
		return -1;
	put_octal(block + 100, 7, entry->mode);
	put_octal(block + 108, 7, 0);
	put_octal(block + 116, 7, 0);
	put_size(block, entry->size);
	put_octal(block + 136, 11, 0);
	block[TYPE_AT] = types[entry->kind];
	memcpy(block + TARGET_AT, entry->target, strlen(entry->target));
	memcpy(block + MAGIC_AT, "ustar\00000", 8);
	put_octal(block + DEVICE_AT, 7, 0);
	put_octal(block + DEVICE_AT + 8, 7, 0);
	put_checksum(block);
	memcpy(out, block, sizeof(block));
	return 0;
}

/* Whatever stands in a field; the comparison judges. */
static uint64_t read_octal(const char *field, size_t digits)
{
	uint64_t value = 0;

	for (size_t i = 0; i < digits; i++)
		value = value << 3 | (uint64_t)(field[i] & 7);
	return value;
}

static uint64_t read_size(const char *block)
{
	uint64_t value = 0;

	if (block[SIZE_AT] != (char)0x80)
		return read_octal(block + SIZE_AT, SIZE_BYTES - 1);
	for (int i = 4; i < SIZE_BYTES; i++)
		value = value << 8 | (unsigned char)block[SIZE_AT + i];
	return value;
}

static void read_path(const char *block, struct tar_entry *entry)
{
	size_t length;

	snprintf(entry->path, sizeof(entry->path), "%.*s%s%.*s", PREFIX_BYTES,
		 block + PREFIX_AT, block[PREFIX_AT] ? "/" : "", NAME_BYTES, block);
	length = strlen(entry->path);
	if (entry->kind == TAR_FOLDER && length > 0 && entry->path[length - 1] == '/')
		entry->path[length - 1] = '\0';
}

int tar_parse(const char block[TAR_BLOCK_BYTES], struct tar_entry *out_entry, struct err *err)
{
	struct tar_entry entry = { .mode = (uint32_t)read_octal(block + 100, 7),
				   .size = read_size(block) };
	char again[TAR_BLOCK_BYTES];
	struct err none = { 0 };

	while (entry.kind < TAR_LINK && types[entry.kind] != block[TYPE_AT])
		entry.kind++;
	read_path(block, &entry);
	snprintf(entry.target, sizeof(entry.target), "%.100s", block + TARGET_AT);
	if (entry.mode > 0777 || (entry.kind != TAR_FILE && entry.size > 0) ||
	    (entry.kind == TAR_LINK) != (entry.target[0] != '\0') ||
	    tar_header(&entry, again, &none) < 0 || memcmp(again, block, TAR_BLOCK_BYTES) != 0)
		return err_set(err, ERR_DAMAGED, "a tar header that larder does not write");
	*out_entry = entry;
	return 0;
}

bool tar_is_end(const char block[TAR_BLOCK_BYTES])
{
	static const char zero[TAR_BLOCK_BYTES];

	return memcmp(block, zero, TAR_BLOCK_BYTES) == 0;
}
