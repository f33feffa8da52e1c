/* removed.h - packages that a step takes off the machine, or replaces: kept before it runs, so that they can be put back
 * offline. names are those of packages; some of them may not be installed. */
#ifndef LARDER_REMOVED_H
#define LARDER_REMOVED_H

#include "firstboot/steps.h"

/* Can what is installed of them be kept here? dpkg: each package is packed again, from its files and its control
 * files as they are now. rpm: only a package that the bundle carries in a packages step. Changes nothing. */
enum reason removed_check(const struct steps *steps, const struct record_step *step,
			  const struct json_strings *names, struct space *space,
			  struct err *err);

/* Keeps what is installed of them (undo.h); packages that were kept by an earlier try stay as they are. */
enum reason removed_keep(const struct steps *steps, const struct record_step *step,
			 const struct json_strings *names, struct err *err);

/* Installs again what was kept and is not there now, or there in another version. */
enum reason removed_put_back(const struct steps *steps, const struct record_step *step,
			     struct err *err);

#endif
