/* record.h - a bundle's own JSON: its files, how they are installed, and what proves success. */
#ifndef LARDER_RECORD_H
#define LARDER_RECORD_H

#include "cache/base/json.h"
#include "cache/digest.h"

#define RECORD_MAX_BYTES (UINT32_C(16) << 20)
#define RECORD_MAX_FILES 65536
#define RECORD_MAX_STEPS 64
#define RECORD_MAX_MODULES 64 /* in one step */
#define RECORD_MAX_ORIGINS 4096
#define RECORD_MAX_WORDS 64 /* of an argv, and of the other lists of a step */
#define RECORD_MAX_SETTINGS 64
#define RECORD_MAX_TIMEOUT_S 86400
#define RECORD_CODES 256 /* exit codes */
#define RECORD_FILE_MAX_BYTES (UINT64_C(16) << 30)
#define RECORD_CHUNK_BYTES (UINT32_C(1) << 20)
#define RECORD_MAX_ENTRIES 65536 /* of a tree */
#define RECORD_TREE_MODE 0755

/* Of a patch: what each frame but the last decodes to, and how much of the base it may refer to. */
#define RECORD_FRAME_BYTES (UINT32_C(4) << 20)
#define RECORD_PREFIX_BYTES (UINT32_C(8) << 20)

/* The two with TAR are trees; what a bundle has there is a folder (tree.h). The two with PATCH have a base. */
enum record_encoding {
	RECORD_IDENTITY,
	RECORD_ZSTD,
	RECORD_TAR_ZSTD,
	RECORD_ZSTD_PATCH,
	RECORD_TAR_ZSTD_PATCH,
};

/* Strings are borrowed from the record's document. */
struct record_file {
	const char *path; /* in the bundle */
	uint64_t mode; /* 0644 or 0755; of a tree RECORD_TREE_MODE */
	uint64_t size; /* bytes, once decoded; of a tree those of its tar */
	uint64_t entries; /* of a tree: its files, folders and links; else 0 */
	enum record_encoding encoding;
	struct digest_size blob;
	struct digest
		*chunk; /* owned: one for each RECORD_CHUNK_BYTES of a blob larger than that */
	size_t chunk_count;
	/* Of a patch, else NULL; owned. The bytes it was made against, as a file RECORD_IDENTITY or RECORD_ZSTD without
	 * a base of its own: whoever walks over blobs walks from a file to its base. */
	struct record_file *base;
	uint64_t *from; /* owned: for each frame, where in the decoded base its prefix begins */
	size_t from_count;
};
/* Releases what a file owns. */
void record_file_free(struct record_file *file);

bool record_is_tree(const struct record_file *file);

enum record_do {
	RECORD_DO_FILES,
	RECORD_DO_MODULES,
	RECORD_DO_LOAD,
	RECORD_DO_PACKAGES,
	RECORD_DO_DKMS,
	RECORD_DO_COMMAND,
	RECORD_DO_SERVICE,
	RECORD_DO_SYSCTL,
	RECORD_DO_LIMITS,
	RECORD_DO_IPOIB,
	RECORD_DO_RDMA_NAMES,
	RECORD_DO_WAAGENT,
};
#define RECORD_DO_KINDS (RECORD_DO_WAAGENT + 1)

struct record_setting {
	const char *key, *value;
};
struct record_settings {
	struct record_setting *item; /* owned */
	size_t count;
};

/* What an exit code of a command means. */
enum record_code { RECORD_CODE_FAILED, RECORD_CODE_OK, RECORD_CODE_REBOOT };

/* A field that a kind does not have is 0. */
struct record_step {
	enum record_do kind;
	struct json_strings files; /* paths of files of this record */
	bool *tree; /* owned: of each of files, is it a tree? NULL: none is */
	const char *into; /* files: an absolute folder */
	struct json_strings modules; /* load: names, in order */
	bool hold; /* packages: they are kept as they are */
	const char *module, *version; /* dkms; with a version files is its one tree */
	struct json_strings argv; /* command: rule_expand gives the words */
	struct json_strings undo; /* command: takes it back, as argv */
	struct json_strings removes; /* command: packages that it takes off the machine */
	struct record_settings env; /* command: values as argv */
	uint64_t timeout_s; /* command; 0: the machine's own */
	unsigned char code[RECORD_CODES]; /* command: an enum record_code for each exit code */
	struct json_strings units; /* service: of systemd */
	bool start; /* service: at once */
	struct record_settings settings; /* sysctl, limits, waagent */
};

struct record_expect {
	const char *driver; /* the device is bound to it; NULL: not asked */
	const char *link_layer; /* "InfiniBand" or "Ethernet"; NULL: not asked */
	const char *port; /* "physical" or "logical"; NULL: not asked */
	bool carrier;
};

struct record_origin {
	const char *from; /* a URL, or "package NAME VERSION ARCH (ARCHIVE)" */
	struct digest_size content;
};

struct record {
	json_t *document; /* owned; NULL in a record that was filled in by hand */
	struct record_file *file; /* sorted by path */
	size_t file_count;
	struct record_step *step;
	size_t step_count;
	struct record_expect expect;
	struct record_origin *origin;
	size_t origin_count;
	const char *licence;
};
#define AUTO_RECORD __attribute__((cleanup(record_free)))
void record_free(struct record *record);

MUST_USE int record_parse(const char *data, size_t size, struct record *out_record,
			  struct err *err);
/* How many frames a patch has whose result has so many bytes. */
size_t record_frames_of(uint64_t size);

/* Compact JSON. The caller frees. */
char *record_text(const struct record *record, size_t *out_size);

const struct record_file *record_find(const struct record *record, const char *path);

/* How many chunk digests a blob of this many bytes has. */
size_t record_chunks_of(uint64_t blob_size);

/* A step that stands at where in its file. Its strings are borrowed from value. record: whose files it names; NULL: a
 * manifest's step, of a kind without files, and what argv names is not looked up. The caller frees the step, also
 * where this fails. */
MUST_USE int record_step_parse(const json_t *value, const char *where,
			       const struct record *record, struct record_step *out_step,
			       struct err *err);
json_t *record_step_json(const struct record_step *step);
void record_step_free(struct record_step *step);

const char *record_do_name(enum record_do kind);
/* -1: no kind has this name. */
int record_do_find(const char *name);

/* The steps that the early moment may run: no package manager, no waiting on services. */
bool record_do_is_early(enum record_do kind);

#endif
