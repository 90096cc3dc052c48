import PhotosUI
import SwiftUI

@main
struct DetectorApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}

struct ContentView: View {
    @State private var item: PhotosPickerItem?
    @State private var image: CGImage?
    @State private var detections: [Detection] = []
    @State private var message = "Choose a photo"

    private static let detector = Result { try Detector() }

    var body: some View {
        VStack {
            if let image {
                Image(decorative: image, scale: 1)
                    .resizable()
                    .scaledToFit()
                    .overlay { boxes(width: image.width) }
            }
            Text(message)
            PhotosPicker("Choose a photo", selection: $item, matching: .images)
        }
        .padding()
        .onChange(of: item) { item in
            guard let item else { return }
            Task { await open(item) }
        }
    }

    /// Boxes in the coordinates of the view.
    private func boxes(width: Int) -> some View {
        GeometryReader { geometry in
            let scale = geometry.size.width / CGFloat(width)
            ForEach(detections) { detection in
                let box = detection.box.applying(CGAffineTransform(scaleX: scale, y: scale))
                Rectangle()
                    .stroke(.green, lineWidth: 2)
                    .frame(width: box.width, height: box.height)
                    .overlay(alignment: .topLeading) {
                        Text("\(detection.name) \(String(format: "%.2f", detection.score))")
                            .font(.caption2)
                            .foregroundColor(.green)
                            .fixedSize()
                            .offset(y: -14)
                    }
                    .position(x: box.midX, y: box.midY)
            }
        }
    }

    @MainActor
    private func open(_ item: PhotosPickerItem) async {
        do {
            guard let data = try await item.loadTransferable(type: Data.self), let photo = upright(data) else { return }
            let detector = try Self.detector.get()
            let start = Date()
            detections = try await Task.detached { try detector.detect(photo) }.value
            image = photo
            message = "\(detections.count) detections in \(Int(Date().timeIntervalSince(start) * 1000)) ms"
        } catch {
            message = error.localizedDescription
        }
    }

    /// The decoded photo with its EXIF orientation applied.
    private func upright(_ data: Data) -> CGImage? {
        guard let photo = UIImage(data: data) else { return nil }
        let format = UIGraphicsImageRendererFormat()
        format.scale = 1
        return UIGraphicsImageRenderer(size: photo.size, format: format).image { _ in photo.draw(at: .zero) }.cgImage
    }
}
