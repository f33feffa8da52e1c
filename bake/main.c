/* larder: bakes network drivers into images. */
#include "bake/verbs.h"
#include "cache/base/auto.h"
#include "cache/base/process.h"

static const char exits[] =
	"0: done. 1: failed; the reason is on standard error. 2: wrong usage. 3: the "
	"answer is no.";

int main(int argc, char **argv)
{
	const struct cli_verb verbs[] = { verb_key_new,
					  verb_trust_init,
					  verb_trust_add,
					  verb_trust_remove,
					  verb_trust_threshold,
					  verb_trust_sign,
					  verb_trust_show,
					  verb_fetch,
					  verb_show,
					  verb_lint,
					  verb_import,
					  verb_bump,
					  verb_bake,
					  verb_sign,
					  verb_embed,
					  verb_copy,
					  verb_plan,
					  verb_coverage,
					  verb_wanted,
					  verb_ls,
					  verb_diff,
					  { 0 } };
	const struct cli_program larder = {
		.name = "larder",
		.summary = "bakes network drivers into images: fetch, bake, sign, copy, embed",
		.verbs = verbs,
		.exits = exits,
	};

	process_open_streams();
	return cli_main(&larder, argc, argv);
}
