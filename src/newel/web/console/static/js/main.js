// The console's script: pages refresh themselves, forms are sent once, times are in the
// viewer's zone, a drawing is walked by arrows. Everything works without it.
import { startDrawing } from "./drawing.js";
import { guardForms } from "./forms.js";
import { startLive } from "./live.js";
import { tellZone } from "./zone.js";

tellZone();
guardForms();
startDrawing();
startLive();
