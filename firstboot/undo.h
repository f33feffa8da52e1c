/* undo.h - what the steps of a bundle replaced, kept on the disk so that it can be put back.
 *
 *     /var/lib/larder/undo/HEX/NN-KEY           a copy of what step NN found: a file, a folder or a link; or a text
 *     /var/lib/larder/undo/HEX/NN-KEY.absent    nothing stood there
 *
 * HEX is the digest of the bundle's record. What is kept is data: no path in it is followed and nothing of it is run. Where
 * something goes back to is derived again from the signed record, by the step that kept it (T28). Of one key the first that
 * is kept stands, so that a second try does not take what the first one did for the state before.
 *
 * A step calls undo_keep before it changes something, with a key of its own for each thing, and in its undo
 * undo_put_back with the same key. Every call may be repeated after a crash. */
#ifndef LARDER_UNDO_H
#define LARDER_UNDO_H

#include "firstboot/steps.h"

#define UNDO_NAME "undo" /* in the state folder */
#define UNDO_TEXT_MAX 65536

/* Keeps what stands at dir/name (owner, mode, times and extended attributes with it), or that nothing does. It is on the disk
 * when this returns. ERR_INVALID: neither file, folder nor link; also somewhere inside of a folder. */
MUST_USE int undo_keep(const struct steps *steps, const struct record_step *step,
		       const char *key, int dir, const char *name, struct err *err);

/* Was anything kept under this key? */
bool undo_is_kept(const struct steps *steps, const struct record_step *step, const char *key);

/* Makes dir/name what it was, whole or not at all; without anything kept nothing happens. *out_changed is set where
 * something was kept, and never cleared. */
MUST_USE int undo_put_back(const struct steps *steps, const struct record_step *step,
			   const char *key, int dir, const char *name, bool *out_changed,
			   struct err *err);

/* The same for the folders that lead to path, an absolute one on the machine: those that are made from now on are removed
 * again, unless something is in them. */
MUST_USE int undo_keep_path(const struct steps *steps, const struct record_step *step,
			    const char *key, const char *path, struct err *err);
MUST_USE int undo_drop_path(const struct steps *steps, const struct record_step *step,
			    const char *key, const char *path, struct err *err);

/* A text of at most UNDO_TEXT_MAX bytes, such as the names of the packages that were not there. Whoever reads it judges every
 * word of it as one from outside. out_text: NULL, nothing was kept; the caller frees. */
MUST_USE int undo_keep_text(const struct steps *steps, const struct record_step *step,
			    const char *key, const char *text, struct err *err);
MUST_USE int undo_read_text(const struct steps *steps, const struct record_step *step,
			    const char *key, char **out_text, struct err *err);

/* Removes all that is kept for a bundle, once it is undone or nobody can undo it any more. */
MUST_USE int undo_forget(const struct machine *machine, const struct digest *record,
			 struct err *err);
/* Removes what is kept for any bundle but these. */
MUST_USE int undo_forget_others(const struct machine *machine, const struct digest *records,
				size_t count, struct err *err);

#endif
