// What a person says of a run beside its hyperparameters: hypothesis, title, id, device.
import { byId } from "../parts.js";

/** @typedef {import("../jobs_api.js").Device} Device */
/** @typedef {{ hypothesis: string, title: string, id: string, device: string }} Words */

const IDS = { hypothesis: "hypothesis", title: "title", id: "run-id", device: "device" };

export class JobWords {
  /** @param {() => void} onChange */
  constructor(onChange) {
    for (const name of /** @type {(keyof Words)[]} */ (Object.keys(IDS))) {
      this.#control(name).addEventListener("input", onChange);
    }
    this.setDevices([]);
  }

  /** @returns {Words} */
  read() {
    return {
      hypothesis: this.#control("hypothesis").value,
      title: this.#control("title").value.trim(),
      id: this.#control("id").value.trim(),
      device: this.#control("device").value,
    };
  }

  /** @param {Words} words */
  show(words) {
    for (const name of /** @type {const} */ (["hypothesis", "title", "id"])) {
      this.#control(name).value = words[name];
    }
    this.#chooseDevice(words.device);
  }

  /**
   * What holds where nothing is said.
   * @param {{ title: string, id: string }} words
   */
  suggest({ title, id }) {
    this.#control("title").placeholder = title;
    this.#control("id").placeholder = id;
  }

  /** @param {boolean} several whether the id is only what the ids of several runs begin with */
  setSeveral(several) {
    byId("run-id-label").textContent = several ? "Run ids begin with" : "Run id";
  }

  /** @param {Device[]} devices */
  setDevices(devices) {
    const usual = devices.find((device) => device.default);
    const auto = new Option(usual ? `auto – ${usual.id}` : "auto", "auto");
    const options = devices.map(
      ({ id, name, busy }) => new Option(`${id} – ${name}${busy ? ", busy" : ""}`, id),
    );
    const select = /** @type {HTMLSelectElement} */ (byId("device"));
    const shown = [...select.options].map(({ text }) => text).join("\n");
    const wanted = [auto, ...options].map(({ text }) => text).join("\n");
    if (shown === wanted) return; // An open list would close.
    const { value } = select;
    select.replaceChildren(auto, ...options);
    this.#chooseDevice(value || "auto");
  }

  /** @param {string} id of a device, which may not be here */
  #chooseDevice(id) {
    const select = /** @type {HTMLSelectElement} */ (byId("device"));
    if (![...select.options].some(({ value }) => value === id)) select.append(new Option(id, id));
    select.value = id;
  }

  /** @param {keyof Words} name */
  #control(name) {
    return /** @type {HTMLInputElement} */ (byId(IDS[name]));
  }
}
