/* azure.h - what dashboards of Azure's InfiniBand extension look for: its status file, with its exit codes. */
#ifndef LARDER_AZURE_H
#define LARDER_AZURE_H

#include "cache/base/json.h"

/* One line for each moment of a status document; the caller frees. */
char *azure_text(const json_t *document);

#endif
