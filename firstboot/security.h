/* security.h - what firmware and the running kernel demand of modules: Secure Boot, lockdown, module.sig_enforce. */
#ifndef LARDER_SECURITY_H
#define LARDER_SECURITY_H

#include "cache/loadable.h"
#include "firstboot/machine.h"

/* What cannot be read is unknown. */
void security_read(const struct machine *machine, struct loadable_security *out);

#endif
