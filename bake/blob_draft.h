/* blob_draft.h - a blob of the cache on its way: hashed as it is written, named when it is whole. */
#ifndef LARDER_BLOB_DRAFT_H
#define LARDER_BLOB_DRAFT_H

#include "cache/layout.h"
#include "cache/record.h"

struct blob_draft {
	struct fs_draft draft;
	struct digest_stream *whole, *chunk; /* owned */
	uint64_t in_chunk; /* bytes */
	size_t chunk_room;
	struct record_file
		*file; /* borrowed: blob and chunk are filled in, chunk by the draft */
};
#define BLOB_DRAFT_NONE                                                                        \
	{                                                                                      \
		.draft = FS_DRAFT_NONE                                                         \
	}
#define AUTO_BLOB_DRAFT __attribute__((cleanup(blob_draft_free)))
/* What was not put is gone. */
void blob_draft_free(struct blob_draft *draft);

/* One at a time in a layout. The blob of file is empty. */
MUST_USE int blob_draft_open(struct blob_draft *draft, const struct layout *layout,
			     struct record_file *file, struct err *err);
MUST_USE int blob_draft_add(struct blob_draft *draft, const char *data, size_t size,
			    struct err *err);
/* It takes the name of its digest; a crash in between leaves what the next bake removes. */
MUST_USE int blob_draft_put(struct blob_draft *draft, struct err *err);

#endif
