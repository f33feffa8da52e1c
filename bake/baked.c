#include "bake/baked.h"

#include <string.h>

void baked_list_free(struct baked_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		memo_free(&list->item[i].memo);
	free(list->item);
	*list = (struct baked_list) { 0 };
}

static void say(struct log *log, const struct bundle_inputs *inputs,
		const struct manifest_bundle *from, const struct memo *memo, const char *what)
{
	log_line(log, "%s %s (%s): %s, %.1f MB", inputs->manifest->name, from->version,
		 from->id, what, (double)memo_bytes(memo) / 1e6);
}

/* What a verifier would refuse is never signed. */
static int check_text(const char *text, size_t size, const struct bundle_inputs *inputs,
		      const struct manifest_bundle *from, struct err *err)
{
	AUTO_RECORD struct record record = { 0 };

	if (size > RECORD_MAX_BYTES)
		err_set(err, ERR_INVALID, "record of %zu bytes: too large", size);
	else if (record_parse(text, size, &record, err) == 0)
		return 0;
	return err_wrap(err, "%s %s (%s)", inputs->manifest->name, from->version, from->id);
}

static int pack(const struct bundle_inputs *inputs, const struct manifest_bundle *from,
		struct log *log, struct memo *out, struct err *err)
{
	AUTO_BUNDLE struct bundle bundle = { 0 };
	AUTO_FREE char *text = NULL, *files = NULL;
	size_t size;

	if (bundle_make(inputs, from, &bundle, err) < 0)
		return -1;
	text = record_text(&bundle.record, &size);
	if (check_text(text, size, inputs, from, err) < 0)
		return -1;
	if (layout_put(inputs->layout, text, size, &out->record, err) < 0)
		return -1;
	out->blob_count = inventory_blobs_of(&bundle.record, &out->blobs);
	files = must_printf("%zu file%s", bundle.record.file_count,
			    bundle.record.file_count == 1 ? "" : "s");
	say(log, inputs, from, out, files);
	return 0;
}

static bool is_known(const struct memos *memos, const struct digest *key,
		     const struct layout *layout, struct baked *baked)
{
	if (!memo_find(memos, key, &baked->memo))
		return false;
	if (!baked->selected || memo_stands(memos, key, &baked->memo, layout))
		return true;
	memo_free(&baked->memo);
	return false;
}

int baked_make(const struct memos *memos, const struct bundle_inputs *inputs,
	       const struct manifest_bundle *from, const struct baked_guard *guard,
	       struct log *log, struct baked *baked, struct err *err)
{
	struct digest key;
	struct err none = { 0 };
	bool has_key = memo_key(memos, inputs, from, &key, &none) == 0;

	if (has_key && is_known(memos, &key, inputs->layout, baked)) {
		say(log, inputs, from, &baked->memo, "as before");
		return 0;
	}
	if (guard->may_write(guard->context, err) < 0)
		return -1;
	if (pack(inputs, from, log, &baked->memo, err) < 0) {
		if (baked->selected || err->kind != ERR_MISSING)
			return -1;
		return err_wrap(err,
				"not selected, but its files are needed once to describe it "
				"(fetch it, or bake once with a store that has all)");
	}
	if (has_key)
		memo_keep(memos, &key, &baked->memo);
	return 0;
}

static int by_record(const void *left, const void *right)
{
	const struct baked *one = left, *other = right;

	return memcmp(&one->memo.record.digest, &other->memo.record.digest, DIGEST_BYTES);
}

void baked_list_merge(struct baked_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->item, list->count, sizeof(*list->item), by_record);
	for (size_t i = 0; i < list->count; i++) {
		struct baked *baked = &list->item[i];

		if (kept && by_record(&list->item[kept - 1], baked) == 0) {
			list->item[kept - 1].selected |= baked->selected;
			memo_free(&baked->memo);
		} else {
			list->item[kept++] = *baked;
		}
	}
	list->count = kept;
}

void baked_list_move(const struct baked_list *list, const struct table_row *row,
		     struct inventory *inventory)
{
	struct inventory_bundle *bundle = &inventory->bundles[inventory->bundle_count];
	const struct baked wanted = { .memo.record = row->record };
	struct baked *baked =
		bsearch(&wanted, list->item, list->count, sizeof(wanted), by_record);

	if (!baked || !baked->memo.blobs)
		return;
	*bundle = (struct inventory_bundle) { .row = row,
					      .blobs = take_ptr(&baked->memo.blobs),
					      .blob_count = baked->memo.blob_count,
					      .carried = baked->selected };
	snprintf(bundle->title, sizeof(bundle->title), "%s %s %s", row->name, row->version,
		 row->id);
	inventory->bundle_count++;
}
