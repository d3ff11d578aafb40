// Reads codes with the camera where the browser can (BarcodeDetector); the field and its form are the page's own, so that a scanner that types
// needs none of this.
"use strict";
(() => {
  const view = document.querySelector("[data-scan-view]");
  if (!view || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;
  let stream = null;

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    view.hidden = true;
  };

  const take = (button, text) => {
    const field = document.getElementById(button.dataset.scan);
    field.value = text;
    stop();
    if ("scanSubmit" in button.dataset) field.form.requestSubmit(); else field.focus();
  };

  const read = async (button) => {
    if (stream) { stop(); return; }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      button.textContent = "The camera is not allowed";
      return;
    }
    view.srcObject = stream;
    view.hidden = false;
    await view.play();
    const detector = new BarcodeDetector();
    while (stream) {
      const codes = await detector.detect(view).catch(() => []);
      if (codes.length > 0 && stream) { take(button, codes[0].rawValue); return; }
      await new Promise((done) => setTimeout(done, 150));
    }
  };

  for (const button of document.querySelectorAll("button[data-scan]")) {
    button.hidden = false;
    button.addEventListener("click", () => read(button));
  }
  addEventListener("pagehide", stop);
})();
