package barcode

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// grey copies an image to shades of grey on white, with its corner at 0,0.
func grey(img image.Image) *image.Gray {
	b := img.Bounds()
	g := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(g, g.Rect, image.NewUniform(color.White), image.Point{}, draw.Src) // under transparent pixels
	draw.Draw(g, g.Rect, img, b.Min, draw.Over)
	return g
}

// halve makes one pixel of four.
func halve(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx()/2, g.Rect.Dy()/2
	if w < 60 || h < 8 {
		return nil
	}
	out := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		a, b, to := g.Pix[2*y*g.Stride:], g.Pix[(2*y+1)*g.Stride:], out.Pix[y*out.Stride:]
		for x := range w {
			to[x] = uint8((int(a[2*x]) + int(a[2*x+1]) + int(b[2*x]) + int(b[2*x+1]) + 2) / 4)
		}
	}
	return out
}

// double makes four pixels of one, the new ones between their neighbours.
func double(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx()*2, g.Rect.Dy()*2
	out := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			out.Pix[y*out.Stride+x] = between(g, (float64(x)-0.5)/2, (float64(y)-0.5)/2)
		}
	}
	return out
}

// soften takes the mean of three by three pixels, against noise.
func soften(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	out := image.NewGray(g.Rect)
	for y := range h {
		for x := range w {
			sum, n := 0, 0
			for dy := max(y-1, 0); dy <= min(y+1, h-1); dy++ {
				for dx := max(x-1, 0); dx <= min(x+1, w-1); dx++ {
					sum, n = sum+int(g.Pix[dy*g.Stride+dx]), n+1
				}
			}
			out.Pix[y*out.Stride+x] = uint8(sum / n)
		}
	}
	return out
}

// turn turns an image about its centre, on white.
func turn(g *image.Gray, degrees float64) *image.Gray {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	w, h := float64(g.Rect.Dx()), float64(g.Rect.Dy())
	nw, nh := w*math.Abs(cos)+h*math.Abs(sin), w*math.Abs(sin)+h*math.Abs(cos)
	out := image.NewGray(image.Rect(0, 0, int(nw), int(nh)))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			fx, fy := float64(x)-nw/2, float64(y)-nh/2
			out.Pix[y*out.Stride+x] = between(g, fx*cos+fy*sin+w/2, fy*cos-fx*sin+h/2)
		}
	}
	return out
}

// between is the shade at a place between pixels; outside it is white.
func between(g *image.Gray, x, y float64) uint8 {
	x0, y0 := int(math.Floor(x)), int(math.Floor(y))
	fx, fy := x-float64(x0), y-float64(y0)
	at := func(x, y int) float64 {
		if x < 0 || y < 0 || x >= g.Rect.Dx() || y >= g.Rect.Dy() {
			return 255
		}
		return float64(g.Pix[y*g.Stride+x])
	}
	top := at(x0, y0)*(1-fx) + at(x0+1, y0)*fx
	bottom := at(x0, y0+1)*(1-fx) + at(x0+1, y0+1)*fx
	return uint8(top*(1-fy) + bottom*fy + 0.5)
}
