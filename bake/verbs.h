/* verbs.h - the verbs of larder, one file each. */
#ifndef LARDER_VERBS_H
#define LARDER_VERBS_H

#include "cache/base/cli.h"

extern const struct cli_verb verb_key_new;
extern const struct cli_verb verb_trust_init;
extern const struct cli_verb verb_trust_add;
extern const struct cli_verb verb_trust_remove;
extern const struct cli_verb verb_trust_threshold;
extern const struct cli_verb verb_trust_sign;
extern const struct cli_verb verb_trust_show;
extern const struct cli_verb verb_fetch;
extern const struct cli_verb verb_lint;
extern const struct cli_verb verb_import;
extern const struct cli_verb verb_bump;
extern const struct cli_verb verb_bake;
extern const struct cli_verb verb_sign;
extern const struct cli_verb verb_embed;
extern const struct cli_verb verb_copy;
extern const struct cli_verb verb_plan;
extern const struct cli_verb verb_coverage;
extern const struct cli_verb verb_wanted;
extern const struct cli_verb verb_ls;
extern const struct cli_verb verb_show;
extern const struct cli_verb verb_diff;

#endif
