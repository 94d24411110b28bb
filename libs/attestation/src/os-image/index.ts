export { InvalidImageUrlError, OsImageDownloader, type OsImageDownloaderOptions } from './os-image-downloader.js';
export { type OsImageFiles, type OsImageSource, OsImageUnavailableError } from './os-image-source.js';
export { readImageArchive } from './read-image-archive.js';
