// The console's script: pages refresh themselves, forms are sent once, times are in the
// viewer's zone. Everything works without it.
import { guardForms } from "./forms.js";
import { startLive } from "./live.js";
import { tellZone } from "./zone.js";

tellZone();
guardForms();
startLive();
