#include "bake/memo.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "bake/notes.h"
#include "cache/base/span.h"
#include "cache/base/version.h"
#include "cache/codec.h"

#define NOTE_FORMAT "larder.bundle.v1"
#define MAX_BLOBS (2 * RECORD_MAX_FILES) /* of files, and of their bases */
#define NOTE_MAX_BYTES (UINT32_C(16) << 20) /* so many lines of at most 77 bytes */
#define NUMBER_MAX_BYTES 20

void memo_free(struct memo *memo)
{
	free(memo->blobs);
	*memo = (struct memo) { 0 };
}

void memos_close(struct memos *memos)
{
	auto_close(&memos->dir);
	memos->dir = -1;
}

static void add_text(struct digest_stream *stream, const char *text)
{
	digest_stream_add(stream, text, strlen(text) + 1);
}

static void add_content(struct digest_stream *stream, const struct digest_size *content)
{
	AUTO_FREE char *size = must_printf("%" PRIu64, content->size);

	digest_stream_add(stream, content->digest.byte, DIGEST_BYTES);
	add_text(stream, size);
}

/* The bytes of this program stand for its version: two builds of one version may pack differently. */
static int name_packer(int level, struct digest *out, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE char *text = must_printf(NOTE_FORMAT " %s zstd %s level %d", LARDER_VERSION,
					   codec_version(), level);
	AUTO_CLOSE int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct digest_size program;

	if (self < 0)
		return err_errno(err, "open /proc/self/exe");
	if (digest_of_fd(self, &program, err) < 0)
		return -1;
	add_text(stream, text);
	add_content(stream, &program);
	digest_stream_end(stream, out);
	return 0;
}

void memos_open(struct memos *out, int level)
{
	struct memos memos = MEMOS_NONE;
	struct err none = { 0 };

	if (name_packer(level, &memos.packer, &none) < 0 ||
	    notes_open("bundles", true, &memos.dir, &none) < 0)
		memos.dir = -1;
	*out = memos;
}

static void add_file(struct digest_stream *stream, const struct lock *lock,
		     const struct manifest_pin *pin)
{
	struct digest_size content = { pin->digest, pin->size }, locked;
	struct err none = { 0 };

	add_text(stream, pin->pinned ? pin->url : "");
	add_content(stream, &content);
	if (lock_find_file(lock, pin->url, &locked, &none) == 0)
		add_content(stream, &locked);
}

static int add_package(struct digest_stream *stream, const struct lock *lock, const char *asked,
		       struct err *err)
{
	struct lock_package package;

	if (lock_find_package(lock, asked, &package, err) < 0)
		return -1;
	add_text(stream, package.name);
	add_text(stream, package.version);
	add_text(stream, package.arch);
	add_text(stream, package.file);
	add_text(stream, package.origin);
	add_content(stream, &package.content);
	return 0;
}

static int add_closure(struct digest_stream *stream, const struct lock *lock,
		       const struct manifest_bundle *from, const struct manifest_take *take,
		       struct err *err)
{
	AUTO_CLOSURE struct closure closure = { 0 };
	struct lock_closure wanted;
	struct digest installed;

	if (lock_closure_of(from, take, &wanted, err) < 0 ||
	    lock_find_closure(lock, &wanted, &installed, &closure, err) < 0)
		return -1;
	for (size_t i = 0; i < closure.count; i++) {
		const struct closure_package *package = &closure.package[i];

		add_text(stream, package->name);
		add_text(stream, package->version);
		add_text(stream, package->arch);
		add_text(stream, package->file);
		add_text(stream, package->origin);
		add_content(stream, &package->content);
	}
	return 0;
}

static int add_takes(struct digest_stream *stream, const struct lock *lock,
		     const struct manifest_bundle *from, struct err *err)
{
	for (size_t i = 0; i < from->take_count; i++) {
		const struct manifest_take *take = &from->takes[i];

		if (take->file)
			add_file(stream, lock, take->file);
		if (take->kind == MANIFEST_TAKE_CLOSURE) {
			if (add_closure(stream, lock, from, take, err) < 0)
				return -1;
			continue;
		}
		for (size_t j = 0; j < take->packages.count; j++) {
			if (add_package(stream, lock, take->packages.item[j], err) < 0)
				return -1;
		}
	}
	return 0;
}

static char *flat_text(const struct manifest *manifest, const struct manifest_bundle *from)
{
	const json_t *bundles = json_object_get(manifest->flat, "bundles");
	size_t size;

	return json_text(json_array_get(bundles, (size_t)(from - manifest->bundles)), &size);
}

int memo_key(const struct memos *memos, const struct bundle_inputs *inputs,
	     const struct manifest_bundle *from, struct digest *out_key, struct err *err)
{
	AUTO_STREAM struct digest_stream *stream = digest_stream_new();
	AUTO_FREE char *flat = flat_text(inputs->manifest, from);

	digest_stream_add(stream, memos->packer.byte, DIGEST_BYTES);
	add_text(stream, flat);
	add_text(stream, inputs->manifest->licence_id);
	if (inputs->near)
		add_content(stream, inputs->near);
	if (add_takes(stream, inputs->lock, from, err) < 0)
		return -1;
	digest_stream_end(stream, out_key);
	return 0;
}

uint64_t memo_bytes(const struct memo *memo)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < memo->blob_count; i++)
		bytes += memo->blobs[i].size;
	return bytes;
}

/* One spelling: no sign, no zero in front, and the limit holds. */
static bool take_number(struct span *line, uint64_t max, uint64_t *out)
{
	char text[NUMBER_MAX_BYTES + 1];
	uint64_t number = 0;

	if (!span_copy_text(line, text, sizeof(text)) || !text[0] ||
	    (text[0] == '0' && text[1]))
		return false;
	for (const char *at = text; *at; at++) {
		if (*at < '0' || *at > '9' || number > max)
			return false;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	*out = number;
	return number <= max;
}

/* "HEX SIZE" */
static bool take_content(struct span *line, uint64_t max, struct digest_size *out)
{
	struct span hex = span_take(line, DIGEST_HEX_MAX - 1), blank = span_take(line, 1);
	char text[DIGEST_HEX_MAX];
	struct err none = { 0 };

	return span_is(&blank, " ") && span_copy_text(&hex, text, sizeof(text)) &&
	       digest_parse_hex(text, &out->digest, &none) == 0 &&
	       take_number(line, max, &out->size);
}

static bool take_word(struct span *line, const char *word)
{
	struct span taken = span_take(line, strlen(word));

	return span_is(&taken, word);
}

static bool parse_head(struct span *note, struct memo *out, uint64_t *out_count)
{
	struct span format = span_take_line(note), record = span_take_line(note);
	struct span count = span_take_line(note);

	return span_is(&format, NOTE_FORMAT) && take_word(&record, "record ") &&
	       take_content(&record, RECORD_MAX_BYTES, &out->record) &&
	       take_word(&count, "blobs ") && take_number(&count, MAX_BLOBS, out_count);
}

static bool parse_note(const char *data, size_t size, struct memo *out)
{
	struct span note = span_of(data, size);
	uint64_t count;

	if (size == 0 || data[size - 1] != '\n' || !parse_head(&note, out, &count))
		return false;
	out->blobs = must_calloc(count, sizeof(*out->blobs));
	for (; out->blob_count < count; out->blob_count++) {
		struct digest_size *blob = &out->blobs[out->blob_count];
		struct span line = span_take_line(&note);

		if (!take_content(&line, RECORD_FILE_MAX_BYTES, blob))
			return false;
		if (out->blob_count &&
		    memcmp(&blob[-1].digest, &blob->digest, DIGEST_BYTES) >= 0)
			return false;
	}
	return note.size == 0 && !note.bad;
}

bool memo_find(const struct memos *memos, const struct digest *key, struct memo *out)
{
	AUTO_MEMO struct memo memo = { 0 };
	AUTO_FREE char *data = NULL;
	AUTO_CLOSE int fd = -1;
	char name[DIGEST_HEX_MAX];
	struct err none = { 0 };
	struct stat status;
	size_t size;

	if (memos->dir < 0 || fs_open_read(memos->dir, digest_hex(key, name), &fd, &none) < 0 ||
	    fstat(fd, &status) < 0 || fs_read_fd(fd, NOTE_MAX_BYTES, &data, &size, &none) < 0 ||
	    !parse_note(data, size, &memo))
		return false;
	memo.written = status.st_mtim;
	*out = memo;
	memo = (struct memo) { 0 };
	return true;
}

void memo_keep(const struct memos *memos, const struct digest *key, const struct memo *memo)
{
	AUTO_FREE char *text = NULL;
	char hex[DIGEST_HEX_MAX], name[DIGEST_HEX_MAX];
	struct err none = { 0 };
	size_t size = 0;
	FILE *stream;

	if (memos->dir < 0)
		return;
	stream = open_memstream(&text, &size);
	if (!stream)
		abort();
	fprintf(stream, NOTE_FORMAT "\nrecord %s %" PRIu64 "\nblobs %zu\n",
		digest_hex(&memo->record.digest, hex), memo->record.size, memo->blob_count);
	for (size_t i = 0; i < memo->blob_count; i++)
		fprintf(stream, "%s %" PRIu64 "\n", digest_hex(&memo->blobs[i].digest, hex),
			memo->blobs[i].size);
	if (fclose(stream) != 0)
		abort();
	if (fs_replace(memos->dir, digest_hex(key, name), text, size, 0600, &none) < 0)
		return; /* the bundle will be packed again */
}

static bool has_digest(int dir, const char *name, const struct digest *digest)
{
	AUTO_CLOSE int fd = -1;
	struct digest_size got;
	struct err none = { 0 };

	return fs_open_read(dir, name, &fd, &none) == 0 && digest_of_fd(fd, &got, &none) == 0 &&
	       digest_equal(&got.digest, digest);
}

static bool is_before(const struct timespec *left, const struct timespec *right)
{
	return left->tv_sec < right->tv_sec ||
	       (left->tv_sec == right->tv_sec && left->tv_nsec < right->tv_nsec);
}

/* The kernel sets the time of change of a file, and nobody sets it back: what did not change since the note was
 * written has the bytes that it had then. */
static bool blob_stands(int dir, const struct digest_size *blob, const struct timespec *written,
			bool *out_hashed)
{
	char name[DIGEST_HEX_MAX];
	struct stat status;

	if (fstatat(dir, digest_hex(&blob->digest, name), &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(status.st_mode) || (uint64_t)status.st_size != blob->size)
		return false;
	if (is_before(&status.st_ctim, written))
		return true;
	*out_hashed = true;
	return has_digest(dir, name, &blob->digest);
}

bool memo_stands(const struct memos *memos, const struct digest *key, const struct memo *memo,
		 const struct layout *layout)
{
	struct timespec times[2];
	bool hashed = false;
	char name[DIGEST_HEX_MAX];

	clock_gettime(CLOCK_REALTIME_COARSE, &times[0]); /* the clock of files' times */
	times[1] = times[0];
	if (!blob_stands(layout->blobs.dir, &memo->record, &memo->written, &hashed))
		return false;
	for (size_t i = 0; i < memo->blob_count; i++) {
		if (!blob_stands(layout->blobs.dir, &memo->blobs[i], &memo->written, &hashed))
			return false;
	}
	if (hashed)
		utimensat(memos->dir, digest_hex(key, name), times, AT_SYMLINK_NOFOLLOW);
	return true;
}
