/* rule.h - which texts a step may have besides names: words of a command, settings, units. */
#ifndef LARDER_RULE_H
#define LARDER_RULE_H

#include <stdbool.h>

#define RULE_STAGE "%{stage}"
#define RULE_LINE_MAX_BYTES 256

/* A word of a command: printable ASCII, at most NAME_TEXT_MAX_BYTES, in which "%{" begins nothing but %{log}, %{stage} and
 * %{kernel}. */
bool rule_word(const char *text);

/* The same without %{stage}: when something is undone the bundle's files need not be there. */
bool rule_undo_word(const char *text);

/* Such a word with its placeholders replaced, once. The caller frees. */
struct rule_places {
	const char *log; /* a file that an installer may write */
	const char *stage; /* the folder with the bundle's files */
	const char *kernel; /* a release */
};
char *rule_expand(const char *word, const struct rule_places *places);

/* An environment variable that an installer may have, and its value, which is a word: no name that changes how programs are
 * found, loaded or interpreted, and none that the agent sets itself. */
bool rule_env(const char *key, const char *value);

/* "net.core.rmem_max", with a '-' before it where a kernel may lack it. */
bool rule_sysctl(const char *key, const char *value);

/* An item of limits.conf; a number, or "unlimited" (not for nofile: PAM would refuse the login). */
bool rule_limit(const char *item, const char *value);
/* In what limits.conf counts an item: "K" (KiB) or ""; NULL: no item that may be set. */
const char *rule_limit_unit(const char *item);

/* A line KEY=VALUE of /etc/waagent.conf, whose reader cuts values at '#' and takes quotes away. */
bool rule_waagent(const char *key, const char *value);

bool rule_unit(const char *name); /* of systemd */
bool rule_package(const char *name); /* of a Debian or RPM distribution */

#endif
