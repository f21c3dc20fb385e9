// --- photo: what goes up is a photo, and no larger than it needs to be ---

const SIDE_MAX = 1_600;
const KEPT_AS_IT_IS_BYTES = 1_500_000;
const QUALITY = 0.85;
const PHOTO_MAX_BYTES = 10 * 1024 * 1024;
const KNOWN = ["image/jpeg", "image/png", "image/gif", "image/webp"];

// The file as it is when it is small, or scaled down. What it throws is for the user to read.
async function prepared(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This is no photo that the browser can read. Choose a JPEG, PNG, WebP or GIF.");
  }
  const scale = SIDE_MAX / Math.max(bitmap.width, bitmap.height);
  const small = scale >= 1 && file.size <= KEPT_AS_IT_IS_BYTES && KNOWN.includes(file.type);
  const photo = small ? file : await redrawn(bitmap, Math.min(scale, 1));
  bitmap.close();
  if (!photo || photo.size > PHOTO_MAX_BYTES) {
    throw new Error("This photo stays larger than 10 MiB. Choose a smaller one.");
  }
  return photo;
}

function redrawn(bitmap, scale) {
  const canvas = make("canvas", {
    width: Math.max(1, Math.round(bitmap.width * scale)),
    height: Math.max(1, Math.round(bitmap.height * scale)),
  });
  const context = canvas.getContext("2d");
  // Transparent pixels would be black in a JPEG.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
}

function base64(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => fail(new Error("The photo can no longer be read. Choose it again."));
    reader.readAsDataURL(blob);
  });
}

// --- end of photo ---

