/* tell.h - who else is told how a run ended: Prometheus, a Hyper-V host, and who watches Azure's extension. */
#ifndef LARDER_TELL_H
#define LARDER_TELL_H

#include "cache/base/json.h"
#include "firstboot/config.h"

#define TELL_METRICS "/var/lib/prometheus/node-exporter/larder.prom" /* where that folder is */
#define TELL_AZURE_FOLDER "/var/log/azure"
#define TELL_AZURE_NAME "ib-vmext-status"

/* Each place that is there gets the document of a run that is over. What cannot be told is logged. */
void tell(const struct machine *machine, const struct config *config, const json_t *document,
	  struct log *log);

/* Takes away what a scraper would take for this machine's. */
void tell_nothing(const struct machine *machine, const struct config *config, struct log *log);

#endif
